// Names and texts of error codes, from the one list base/err.def. Pure tables:
// no lock, no locale, no allocation, so both calls are async-signal-safe.
// SPDX-License-Identifier: MIT
#include <thrum/thrum.h>

#include "base/err.hpp"

// A code of the list without its public macro, or with another number, does
// not compile. tests/capi/header_constants.c proves the other direction.
#define THRUM_ERR(NAME, NUMBER, TEXT)             \
  static_assert(THRUM_##NAME == ::thrum::k##NAME, \
                "THRUM_" #NAME " differs from err.def");
#include "base/err.def"
#undef THRUM_ERR

extern "C" const char* thrum_strerror(int code) {
  switch (code) {
    case ::thrum::kOk:
      return "success";
#define THRUM_ERR(NAME, NUMBER, TEXT) \
  case ::thrum::k##NAME:              \
    return TEXT;
#include "base/err.def"
#undef THRUM_ERR
    default:
      return "unknown error";
  }
}

extern "C" const char* thrum_errname(int code) {
  switch (code) {
    case ::thrum::kOk:
      return "OK";
#define THRUM_ERR(NAME, NUMBER, TEXT) \
  case ::thrum::k##NAME:              \
    return #NAME;
#include "base/err.def"
#undef THRUM_ERR
    default:
      return "E?";
  }
}

// Version and build facts. The numbers that the build knows (thrum_config.h,
// generated) must equal those of the public header: a release bumps both, and
// a header that was forgotten does not compile.
//
// thrum_config.h may define THRUM_VERSION_MAJOR, _MINOR, _PATCH (integers),
// THRUM_BUILD_MIMALLOC and THRUM_BUILD_LIBUV (string literals: the versions
// built against). Without it, or without one of them, that fact is left out.
// SPDX-License-Identifier: MIT
#if __has_include("thrum_config.h")
#include "thrum_config.h"
#endif

#ifdef THRUM_VERSION_MAJOR
namespace {
constexpr unsigned kBuildVersion = (THRUM_VERSION_MAJOR << 16) |
                                   (THRUM_VERSION_MINOR << 8) |
                                   THRUM_VERSION_PATCH;
}
#undef THRUM_VERSION_MAJOR
#undef THRUM_VERSION_MINOR
#undef THRUM_VERSION_PATCH
#include <thrum/thrum.h>
static_assert(kBuildVersion == THRUM_VERSION,
              "the build's version differs from <thrum/thrum.h>");
#else
#include <thrum/thrum.h>
#endif

#define THRUM_TEXT_OF(x) #x
#define THRUM_TEXT(x) THRUM_TEXT_OF(x)
#define THRUM_VERSION_TEXT        \
  THRUM_TEXT(THRUM_VERSION_MAJOR) \
  "." THRUM_TEXT(THRUM_VERSION_MINOR) "." THRUM_TEXT(THRUM_VERSION_PATCH)

// Compiler.
#if defined(__clang__)
#define THRUM_BUILT_BY                                 \
  "clang " THRUM_TEXT(__clang_major__) "." THRUM_TEXT( \
      __clang_minor__) "." THRUM_TEXT(__clang_patchlevel__)
#elif defined(__GNUC__)
#define THRUM_BUILT_BY "gcc " __VERSION__
#else
#define THRUM_BUILT_BY "unknown compiler"
#endif

// Debug or release.
#ifdef NDEBUG
#define THRUM_BUILT_AS "; release"
#else
#define THRUM_BUILT_AS "; debug"
#endif

// Sanitizers: GCC predefines macros, Clang answers __has_feature. GCC says
// nothing of UBSan.
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define THRUM_BUILT_ASAN "; asan"
#else
#define THRUM_BUILT_ASAN ""
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define THRUM_BUILT_TSAN "; tsan"
#else
#define THRUM_BUILT_TSAN ""
#endif
#if __has_feature(undefined_behavior_sanitizer)
#define THRUM_BUILT_UBSAN "; ubsan"
#else
#define THRUM_BUILT_UBSAN ""
#endif

// Libraries.
#ifdef THRUM_BUILD_MIMALLOC
#define THRUM_BUILT_MIMALLOC "; mimalloc " THRUM_BUILD_MIMALLOC
#else
#define THRUM_BUILT_MIMALLOC ""
#endif
#ifdef THRUM_BUILD_LIBUV
#define THRUM_BUILT_LIBUV "; libuv " THRUM_BUILD_LIBUV
#else
#define THRUM_BUILT_LIBUV ""
#endif

extern "C" uint32_t thrum_version(void) { return THRUM_VERSION; }

extern "C" const char* thrum_version_string(void) { return THRUM_VERSION_TEXT; }

extern "C" const char* thrum_build_info(void) {
  return "thrum " THRUM_VERSION_TEXT "; " THRUM_BUILT_BY THRUM_BUILT_AS
      THRUM_BUILT_MIMALLOC THRUM_BUILT_LIBUV THRUM_BUILT_ASAN THRUM_BUILT_TSAN
          THRUM_BUILT_UBSAN;
}

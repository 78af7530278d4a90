// A line for stderr put together by hand: where printf must not be called, in a
// signal handler on a stack that may be the host's and small.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

class Line {
 public:
  Line() { text("thrum: "); }

  Line& text(const char* from) {
    for (; *from; ++from) {
      unsigned char c = static_cast<unsigned char>(*from);
      put(c < 0x20 || c == 0x7f ? '?' : *from);  // a name may hold anything
    }
    return *this;
  }
  Line& number(u64 v, u32 base = 10) {
    char digits[24];
    u32 n = 0;
    do {
      digits[n++] = "0123456789abcdef"[v % base];
      v /= base;
    } while (v);
    while (n) {
      put(digits[--n]);
    }
    return *this;
  }
  Line& address(u64 v) { return text("0x").number(v, 16); }

  // Async-signal-safe; the caller keeps errno.
  void write();

 private:
  void put(char c) {
    if (size_ + 1 < sizeof out_) {
      out_[size_++] = c;
    }
  }

  char out_[400];
  size_t size_ = 0;
};

}  // namespace thrum

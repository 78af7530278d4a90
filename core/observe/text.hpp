// Text on its way out: into a caller's buffer as far as it fits, or piece by piece to
// a function.
// SPDX-License-Identifier: MIT
#pragma once
#include <stdarg.h>

#include "base/defs.hpp"

namespace thrum {

// Takes n bytes; not 0: it wants no more.
using Take = int (*)(void* arg, const char* bytes, size_t n);

class Text {
 public:
  // With a zero behind it, unless size is 0.
  Text(char* out, size_t size) : out_(out), size_(size) {
    if (size) {
      *out = 0;
    }
  }
  Text(Take take, void* arg) : take_(take), arg_(arg) {}
  ~Text() { flush(); }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  __attribute__((format(printf, 2, 3))) void add(const char* form, ...);
  void bytes(const char* from, size_t n);
  // n / 10^digits, with a point wherever the host is at home (printf's %f asks its
  // locale).
  void decimal(u64 n, int digits);
  // As a JSON string, with its quotes.
  void quoted(const char* from);
  // To `take`, what it does not have yet.
  void flush();

  size_t length() const { return length_; }  // so far, whether it fitted or not
  bool refused() const { return refused_; }  // `take` wants no more

 private:
  char* out_ = nullptr;
  size_t size_ = 0;
  Take take_ = nullptr;
  void* arg_ = nullptr;
  size_t length_ = 0;
  bool refused_ = false;
  size_t held_ = 0;
  char hold_[4096];
};

}  // namespace thrum

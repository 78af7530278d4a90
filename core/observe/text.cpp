// SPDX-License-Identifier: MIT
#include "observe/text.hpp"

#include <stdio.h>
#include <string.h>

namespace thrum {

void Text::flush() {
  if (take_ && held_ && !refused_) {
    refused_ = take_(arg_, hold_, held_) != 0;
  }
  held_ = 0;
}

void Text::bytes(const char* from, size_t n) {
  if (take_) {
    for (size_t done = 0; done < n;) {
      size_t part = min(n - done, sizeof hold_ - held_);
      memcpy(hold_ + held_, from + done, part);
      held_ += part;
      done += part;
      if (held_ == sizeof hold_) {
        flush();
      }
    }
  } else if (length_ + 1 < size_) {
    size_t part = min(n, size_ - length_ - 1);
    memcpy(out_ + length_, from, part);
    out_[length_ + part] = 0;
  }
  length_ += n;
}

void Text::add(const char* form, ...) {
  char line[1024];
  va_list args;
  va_start(args, form);
  int n = vsnprintf(line, sizeof line, form, args);
  va_end(args);
  if (n > 0) {
    bytes(line, min(static_cast<size_t>(n), sizeof line - 1));
  }
}

void Text::decimal(u64 n, int digits) {
  u64 one = 1;
  for (int i = 0; i < digits; ++i) {
    one *= 10;
  }
  add("%llu.%0*llu", static_cast<unsigned long long>(n / one), digits,
      static_cast<unsigned long long>(n % one));
}

namespace {

// Bytes of the UTF-8 character that begins there; 0: none does. A host's name may have
// been cut, or be of another encoding.
size_t character(const char* from) {
  auto* at = reinterpret_cast<const unsigned char*>(from);
  if (at[0] < 0x80) {
    return 1;
  }
  size_t n = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
  for (size_t i = 1; i < n; ++i) {
    if ((at[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  // Not in more bytes than it needs, no surrogate, not beyond the last.
  bool wrong =
      at[0] < 0xc2 || at[0] > 0xf4 || (at[0] == 0xe0 && at[1] < 0xa0) ||
      (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf0 && at[1] < 0x90) ||
      (at[0] == 0xf4 && at[1] >= 0x90);
  return wrong ? 0 : n;
}

}  // namespace

void Text::quoted(const char* from) {
  bytes("\"", 1);
  while (*from) {
    unsigned char c = static_cast<unsigned char>(*from);
    size_t n = character(from);
    if (c < 0x20 || c == 0x7f) {
      add("\\u%04x", c);
    } else if (c == '"' || c == '\\') {
      add("\\%c", c);
    } else {
      bytes(n ? from : "?", n ? n : 1);
    }
    from += n ? n : 1;
  }
  bytes("\"", 1);
}

}  // namespace thrum

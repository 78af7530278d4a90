// SPDX-License-Identifier: MIT
#include "base/die.hpp"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/line.hpp"

namespace thrum {

void say(const char* format, ...) {
  int kept = errno;
  char line[512];
  int head = snprintf(line, sizeof line, "thrum: ");
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line + head, sizeof line - static_cast<size_t>(head) - 1,
                    format, args);
  va_end(args);
  size_t len = static_cast<size_t>(head) + static_cast<size_t>(max(n, 0));
  len = min(len, sizeof line - 2);
  line[len++] = '\n';
  ssize_t ignored = write(STDERR_FILENO, line, len);
  (void)ignored;
  errno = kept;
}

void Line::write() {
  out_[size_++] = '\n';
  ssize_t ignored = ::write(STDERR_FILENO, out_, size_);
  (void)ignored;
  size_ = 0;
}

void die(const char* what, const char* file, int line) {
  say("fatal: %s (%s:%d)", what, file, line);
  abort();
}

}  // namespace thrum

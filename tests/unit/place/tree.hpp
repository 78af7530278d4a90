// A tree of small files below a temporary folder, in the place of the system's.
// SPDX-License-Identifier: MIT
#pragma once
#include <ftw.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.hpp"

namespace unit {

class Tree {
 public:
  Tree() {
    char name[] = "/tmp/thrum-place-XXXXXX";
    REQUIRE(mkdtemp(name));
    root_ = name;
    REQUIRE(chmod(name, 0755) == 0);
  }
  ~Tree() {
    nftw(
        root_.c_str(),
        [](const char* path, const struct stat*, int, struct FTW*) {
          return remove(path);
        },
        16, FTW_DEPTH | FTW_PHYS);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  void put(const std::string& path, const std::string& text) {
    std::string whole = root_ + path;
    for (size_t at = root_.size() + 1;
         (at = whole.find('/', at)) != std::string::npos; ++at) {
      mkdir(whole.substr(0, at).c_str(), 0755);
    }
    FILE* f = fopen(whole.c_str(), "w");
    REQUIRE(f);
    REQUIRE(fwrite(text.data(), 1, text.size(), f) == text.size());
    REQUIRE(fclose(f) == 0);
  }
  void deny(const std::string& path) {
    put(path, "1 1\n");
    REQUIRE(chmod((root_ + path).c_str(), 0) == 0);
  }
  const char* root() const { return root_.c_str(); }

 private:
  std::string root_;
};

// Reads as somebody to whom the bits of a mode say something.
class Nobody {
 public:
  Nobody() : was_root_(geteuid() == 0) {
    REQUIRE((!was_root_ || seteuid(65534) == 0));
  }
  ~Nobody() {
    if (was_root_) {
      REQUIRE(seteuid(0) == 0);
    }
  }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;

 private:
  bool was_root_;
};

}  // namespace unit

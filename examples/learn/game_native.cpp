// game_native: a C++ game loads a level on all cores.
//
// <thrum/thrum.hpp> puts lambdas, move-only values and scopes on top of the C
// header. A Scope joins its Gs before it goes, so nothing that they use can die
// under them; the first of them that fails cancels the others. A Channel hands
// values over, and whoever has received one owns it.
//
// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <thrum/thrum.hpp>

using namespace std::chrono_literals;

struct Texture {
  std::string name;
  std::vector<uint32_t> pixels;
};
using Textures = thrum::Channel<std::unique_ptr<Texture>>;

// Stands for reading and decoding a file: some waiting, then some computing.
static int load(const std::string& name, const Textures& loaded) {
  if (int rc = thrum::sleep_for(20ms * (1 + name.size() % 4)); rc < 0) {
    std::printf("  %s: %s, gives up\n", name.c_str(), thrum_strerror(rc));
    return rc;
  }
  if (name == "dragon.png") {
    return THRUM_ENOENT;
  }
  auto texture = std::make_unique<Texture>();
  texture->name = name;
  texture->pixels.resize(256 * 256);
  uint32_t noise = 1;
  for (uint32_t& pixel : texture->pixels) {
    pixel = noise = noise * 1664525u + 1013904223u;
  }
  return loaded.send(std::move(texture));
}

// All textures of a level at once; closes the channel at the end.
static int load_level(const std::vector<std::string>& names,
                      const Textures& loaded) {
  thrum::Scope scope;
  int rc = 0;
  for (size_t i = 0; i < names.size() && rc == 0; i++) {
    rc = scope.go([&names, i, &loaded] { return load(names[i], loaded); });
  }
  rc = scope.join() < 0 ? scope.join() : rc;
  loaded.close();
  return rc;
}

static void play(const char* level, std::vector<std::string> names) {
  std::printf("%s:\n", level);
  Textures loaded(2);
  int64_t start = thrum_now();
  int result = 0;
  thrum::G loader = thrum::go([&] { result = load_level(names, loaded); });
  while (auto texture = loaded.recv()) {  // until it is closed and empty
    std::printf("  %s, %zu pixels, after %lld ms\n", (*texture)->name.c_str(),
                (*texture)->pixels.size(),
                static_cast<long long>((thrum_now() - start) / 1000000));
  }
  if (int rc = loader.join(); rc < 0 || result < 0) {
    std::printf("  no level: %s\n", thrum_strerror(rc < 0 ? rc : result));
  }
}

int main() {
  thrum::Runtime runtime;
  int rc = runtime.run([] {
    play("village", {"tree.png", "house.png", "well.png", "cat.png"});
    play("castle", {"gate.png", "dragon.png", "treasure.png", "knights.png"});
  });
  if (rc < 0) {
    std::fprintf(stderr, "game_native: %s\n", thrum_strerror(rc));
  }
  return rc < 0;
}

-- luarocks make bindings/lua/thrum-scm-1.rockspec, from the top of the tree. Needs
-- meson, ninja, a C++20 compiler, libuv and mimalloc.
package = "thrum"
version = "scm-1"
source = { url = "." }
description = {
  summary = "Green threads on all cores",
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1, < 5.5" }
build = {
  type = "command",
  build_command = "meson setup build/rock -Dtests=false -Dexamples=false && " ..
    "ninja -C build/rock",
  install_command = "sh bindings/lua/install.sh build/rock $(LUA) $(LIBDIR)",
}

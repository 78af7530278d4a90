-- luarocks make bindings/lua/thrum-scm-1.rockspec, from the top of the tree. Needs
-- meson, ninja, a C++20 compiler and the headers of that Lua; libuv and mimalloc of the
-- system, or they are fetched.
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
  build_command = "sh bindings/lua/rock.sh $(LUA)",
  install_command = "sh bindings/lua/rock.sh $(LUA) $(LIBDIR)",
}

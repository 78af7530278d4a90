/* What plain 5.1 lacks.
 * SPDX-License-Identifier: MIT
 */
#include "compat.h"

#if LUA_VERSION_NUM < 502 && !defined(LUAJIT)
void luaL_traceback(lua_State* L, lua_State* of, const char* msg, int level) {
  lua_Debug at;
  lua_pushfstring(L, "%s\nstack traceback:", msg ? msg : "");
  for (; lua_getstack(of, level, &at); ++level) {
    lua_getinfo(of, "Snl", &at);
    lua_pushfstring(L, "\n\t%s:", at.short_src);
    lua_pushfstring(L, at.currentline > 0 ? "%d:" : "", at.currentline);
    lua_pushfstring(L, at.name ? " in function '%s'" : " in ?", at.name);
    lua_concat(L, 4);
  }
}
#endif

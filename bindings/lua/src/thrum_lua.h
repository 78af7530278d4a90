/* thrum in a lua_State, for hosts in C. A script sees `require "thrum"`.
 *
 *   lua_State* L = luaL_newstate();
 *   luaL_openlibs(L);
 *   thrum_lua_attach(L, rt);
 *   luaL_requiref(L, "thrum", luaopen_thrum, 0);   (5.1: package.preload)
 *   ... the script calls thrum.go ...
 *   each frame: thrum_pump(rt, THRUM_TRY); thrum_lua_pump(L, thrum_after(ns));
 *
 * All calls: from the thread that owns L, outside its Gs.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_LUA_H
#define THRUM_LUA_H
#include <lua.h>
#include <thrum/thrum.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The module; for package.preload or luaL_requiref. */
THRUM_API int luaopen_thrum(lua_State* L);

/* Ties L to a runtime of the host's, which stays the host's: stop it before L is
 * closed, or close L first (its Gs are then forgotten). Call it before the
 * module is used. May raise a Lua memory error. Errors: THRUM_EINVAL
 * THRUM_EBUSY (L has one already) THRUM_ENOMEM */
THRUM_API int thrum_lua_attach(lua_State* L, thrum_rt* rt);

/* Runs L's Gs until the deadline or until none can run: see thrum_domain_pump,
 * whose result it is; 0 too if there never was a G. Also THRUM_EINVAL: the
 * module was not used in L. */
THRUM_API int thrum_lua_pump(lua_State* L, int64_t deadline_ns);

#ifdef __cplusplus
}
#endif
#endif

/* Whole numbers of 64 bits in Lua. From 5.3 on they are lua_Integers, unsigned
 * ones by their bits. Before, numbers are doubles: what a double does not hold is
 * a box, made of its decimal text by flat.integer(text), with tostring and ==.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_LUA_INTEGERS_H
#define THRUM_LUA_INTEGERS_H
#include <lua.h>
#include <stdint.h>

int integer_is(lua_State* L, int at);
int integer32_is(lua_State* L, int at);
int unsigned32_is(lua_State* L, int at);
int64_t integer_get(lua_State* L, int at);
uint64_t unsigned_get(lua_State* L, int at);
void integer_push(lua_State* L, int64_t n);
void unsigned_push(lua_State* L, uint64_t n);
/* Into the module's table, which is on top. */
void flat_constants(lua_State* L);

#endif

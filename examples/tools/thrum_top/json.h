/* json.h: reading a JSON document in place. A value is where it begins in the text;
 * NULL: there is none, and every function takes it. The text must be well formed.
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TOP_JSON_H
#define THRUM_TOP_JSON_H

#include <stddef.h>

const char* json_member(const char* object, const char* name);
/* The elements of a list, one after the other. */
const char* json_first(const char* list);
const char* json_next(const char* element);
double json_number(const char* value); /* 0: it is none */
/* Without its escapes, as far as it fits; "" if it is no string. Returns out. */
const char* json_text(const char* value, char* out, size_t size);

#endif

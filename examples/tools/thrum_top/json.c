/* json.c. SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdlib.h>
#include <string.h>

static const char* blank(const char* at) { return at + strspn(at, " \t\r\n"); }

static const char* behind_string(const char* at) {
  for (at++; *at && *at != '"'; at++)
    if (*at == '\\' && at[1])
      at++;
  return *at ? at + 1 : at;
}

/* Behind a value of any kind. */
static const char* behind(const char* at) {
  int depth = 0;
  do {
    if (*at == '"') {
      at = behind_string(at);
      continue;
    }
    depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
    at += *at != 0;
  } while (*at && (depth > 0 || !strchr(",]} \t\r\n", *at)));
  return at;
}

const char* json_member(const char* object, const char* name) {
  if (!object || *object != '{')
    return NULL;
  size_t n = strlen(name);
  for (const char* at = blank(object + 1); *at == '"';) {
    const char* end = behind_string(at);
    const char* value = blank(end);
    if (*value != ':')
      return NULL;
    value = blank(value + 1);
    if ((size_t)(end - at) == n + 2 && memcmp(at + 1, name, n) == 0)
      return value;
    at = blank(behind(value));
    at = blank(at + (*at == ','));
  }
  return NULL;
}

const char* json_first(const char* list) {
  if (!list || *list != '[')
    return NULL;
  list = blank(list + 1);
  return *list == ']' ? NULL : list;
}

const char* json_next(const char* element) {
  const char* at = blank(behind(element));
  return *at == ',' ? blank(at + 1) : NULL;
}

double json_number(const char* value) {
  return value ? strtod(value, NULL) : 0;
}

const char* json_text(const char* value, char* out, size_t size) {
  size_t n = 0;
  if (value && *value == '"')
    for (value++; *value && *value != '"' && n + 1 < size; value++) {
      value += *value == '\\' && value[1];
      out[n++] = *value;
    }
  out[n] = 0;
  return out;
}

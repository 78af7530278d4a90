/* thrum_os: what the operating system grants this process, what thrum makes of
 * it, and why.
 *
 *   thrum_os [--json]
 *
 * Makes a runtime with everything at its default and prints its thrum_os_report,
 * for people: one fact per line, parts of a fact indented below it. --json: as it
 * is. To see what a limit does:
 *
 *   taskset -c 0 thrum_os
 *   systemd-run --pty -p CPUQuota=150% thrum_os
 *   docker run --cpus 1.5 ... thrum_os
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <thrum/place.h>
#include <thrum/thrum.h>

static char* report_of(thrum_rt* rt) {
  int64_t size =
      thrum_os_report(rt, NULL, 0) + 1024; /* it may grow meanwhile */
  char* text = size > 0 ? malloc((size_t)size) : NULL;
  if (!text || thrum_os_report(rt, text, (size_t)size) >= size) {
    fprintf(stderr, "thrum_os: no report\n");
    exit(1);
  }
  return text;
}

static void new_line(int depth) { printf("\n%*s", 2 * depth, ""); }

/* A string from its first quote on; returns what follows it. */
static const char* put_string(const char* at) {
  for (at++; *at && *at != '"'; at++) {
    if (*at == '\\' && at[1]) {
      at++;
    }
    putchar(*at);
  }
  return *at ? at + 1 : at;
}

/* A list of plain values, from its bracket on, in one line. */
static const char* put_list(const char* at) {
  for (at++; *at && *at != ']';) {
    if (*at == '"') {
      at = put_string(at);
    } else if (*at == ',') {
      at++;
    } else {
      putchar(*at++);
    }
  }
  return *at ? at + 1 : at;
}

/* The JSON of a report as lines: names, values, deeper parts indented, each object
 * of a list below a dash. */
static void put_text(const char* at) {
  int depth = -1;
  char before = ':';
  while (*at) {
    char c = *at;
    switch (c) {
      case '[':
        if (at[1] != '{') {
          at = put_list(at);
          break;
        }
        new_line(++depth);
        at++;
        break;
      case '{':
        if (before != ':') {
          putchar('-');
        }
        new_line(++depth);
        at++;
        break;
      case '}':
      case ']':
        depth--;
        at++;
        break;
      case ',':
        new_line(depth);
        at += at[1] == ' ' ? 2 : 1;
        break;
      case '"':
        at = put_string(at);
        break;
      default:
        putchar(*at++);
    }
    before = strchr("[,:", c) ? c : before;
  }
  putchar('\n');
}

int main(int argc, char** argv) {
  int json = argc == 2 && strcmp(argv[1], "--json") == 0;
  if (argc > 1 && !json) {
    fprintf(stderr, "usage: thrum_os [--json]\n");
    return 2;
  }
  thrum_rt* rt;
  int err = thrum_rt_new(&rt, NULL);
  if (err) {
    fprintf(stderr, "thrum_os: %s\n", thrum_strerror(err));
    return 1;
  }
  char* text = report_of(rt);
  if (json) {
    puts(text);
  } else {
    put_text(text);
  }
  free(text);
  thrum_rt_stop(rt, THRUM_FOREVER);
  thrum_rt_free(rt);
  return 0;
}

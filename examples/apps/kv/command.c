/* command.c: the table of commands, and those of the connection itself.
 *
 * SPDX-License-Identifier: MIT */

#include "kv.h"

static void cmd_ping(struct client* c) {
  if (c->request.argc > 2) {
    reply_error(c, "ERR wrong number of arguments for 'ping' command");
  } else if (c->topics_used > 0 && !c->resp3) {
    reply_array(c, 2);
    reply_bulk(c, slice_of("pong"));
    reply_bulk(c, c->request.argc == 2 ? arg(c, 1) : slice_of(""));
  } else if (c->request.argc == 2) {
    reply_bulk(c, arg(c, 1));
  } else {
    reply_raw(c, "+PONG\r\n", 7);
  }
}

static void cmd_echo(struct client* c) { reply_bulk(c, arg(c, 1)); }

static void cmd_quit(struct client* c) {
  reply_text(c, "+OK");
  c->ending = 1;
}

static void cmd_select(struct client* c) {
  int64_t n = 0;
  if (!text_to_int(arg(c, 1), &n)) {
    reply_error(c, "ERR value is not an integer or out of range");
  } else if (n != 0) {
    reply_error(c, "ERR DB index is out of range");
  } else {
    reply_text(c, "+OK");
  }
}

static void cmd_hello(struct client* c) {
  int64_t version = c->resp3 ? 3 : 2;
  uint32_t n = c->request.argc;
  if (n > 1 &&
      (!text_to_int(arg(c, 1), &version) || version < 2 || version > 3)) {
    reply_error(c, "NOPROTO unsupported protocol version");
    return;
  }
  for (uint32_t i = 2; i < n; i++) {
    if (text_is(arg(c, i), "SETNAME") && i + 1 < n) {
      if (!client_rename(c, arg(c, ++i))) {
        return;
      }
    } else if (text_is(arg(c, i), "AUTH") && i + 2 < n) {
      reply_error(c, "ERR kv has no passwords");
      return;
    } else {
      reply_error(c, "ERR syntax error in HELLO");
      return;
    }
  }
  c->resp3 = version == 3;
  reply_map(c, 7);
  reply_bulk(c, slice_of("server"));
  reply_bulk(c, slice_of("redis")); /* what clients expect to talk to */
  reply_bulk(c, slice_of("version"));
  reply_bulk(c, slice_of(SPOKEN_VERSION));
  reply_bulk(c, slice_of("proto"));
  reply_int(c, version);
  reply_bulk(c, slice_of("id"));
  reply_int(c, (int64_t)c->id);
  reply_bulk(c, slice_of("mode"));
  reply_bulk(c, slice_of("standalone"));
  reply_bulk(c, slice_of("role"));
  reply_bulk(c, slice_of("master"));
  reply_bulk(c, slice_of("modules"));
  reply_array(c, 0);
}

static void cmd_command(struct client* c);

/* ---- the table ---------------------------------------------------------- */

static const struct command commands[] = {
    {"append", 3, WRITES, cmd_append},
    {"client", -2, 0, cmd_client},
    {"command", -1, 0, cmd_command},
    {"config", -2, 0, cmd_config},
    {"dbsize", 1, 0, cmd_dbsize},
    {"decr", 2, WRITES, cmd_decr},
    {"decrby", 3, WRITES, cmd_decrby},
    {"del", -2, WRITES, cmd_del},
    {"echo", 2, 0, cmd_echo},
    {"exists", -2, 0, cmd_exists},
    {"expire", 3, WRITES, cmd_expire},
    {"expireat", 3, WRITES, cmd_expireat},
    {"flushall", -1, WRITES, cmd_flushall},
    {"flushdb", -1, WRITES, cmd_flushall},
    {"get", 2, 0, cmd_get},
    {"getset", 3, WRITES, cmd_getset},
    {"hello", -1, 0, cmd_hello},
    {"incr", 2, WRITES, cmd_incr},
    {"incrby", 3, WRITES, cmd_incrby},
    {"info", -1, 0, cmd_info},
    {"keys", 2, 0, cmd_keys},
    {"mget", -2, 0, cmd_mget},
    {"mset", -3, WRITES, cmd_mset},
    {"persist", 2, WRITES, cmd_persist},
    {"pexpire", 3, WRITES, cmd_pexpire},
    {"pexpireat", 3, WRITES, cmd_pexpireat},
    {"ping", -1, ANY_MODE, cmd_ping},
    {"psetex", 4, WRITES, cmd_psetex},
    {"psubscribe", -2, ANY_MODE, cmd_psubscribe},
    {"pttl", 2, 0, cmd_pttl},
    {"publish", 3, 0, cmd_publish},
    {"punsubscribe", -1, ANY_MODE, cmd_punsubscribe},
    {"quit", -1, ANY_MODE, cmd_quit},
    {"scan", -2, 0, cmd_scan},
    {"select", 2, 0, cmd_select},
    {"set", -3, WRITES, cmd_set},
    {"setex", 4, WRITES, cmd_setex},
    {"setnx", 3, WRITES, cmd_setnx},
    {"strlen", 2, 0, cmd_strlen},
    {"subscribe", -2, ANY_MODE, cmd_subscribe},
    {"ttl", 2, 0, cmd_ttl},
    {"type", 2, 0, cmd_type},
    {"unlink", -2, WRITES, cmd_del},
    {"unsubscribe", -1, ANY_MODE, cmd_unsubscribe},
};
enum { COMMANDS = sizeof commands / sizeof commands[0], PLACES = 256 };
static uint8_t places[PLACES]; /* 1 + its number; found by hash and a walk */

static unsigned place_of(const char* name, size_t size) {
  unsigned hash = (unsigned)size;
  for (size_t i = 0; i < size; i++) {
    hash = hash * 31 + ((unsigned char)name[i] | 32u);
  }
  return hash % PLACES;
}

void commands_init(void) {
  for (unsigned i = 0; i < COMMANDS; i++) {
    unsigned at = place_of(commands[i].name, strlen(commands[i].name));
    while (places[at]) {
      at = (at + 1) % PLACES;
    }
    places[at] = (uint8_t)(i + 1);
  }
}

static const struct command* find(struct slice name) {
  unsigned at = name.size < 16 ? place_of(name.data, name.size) : 0;
  for (; places[at]; at = (at + 1) % PLACES) {
    const struct command* command = &commands[places[at] - 1];
    if (text_is(name, command->name)) {
      return command;
    }
  }
  return NULL;
}

/* What people are shown of it needs more than kv knows; clients go on without. */
static void cmd_command(struct client* c) {
  uint32_t n = c->request.argc;
  if (n > 1 && text_is(arg(c, 1), "COUNT")) {
    reply_int(c, COMMANDS);
  } else if (n > 1 && text_is(arg(c, 1), "DOCS")) {
    reply_map(c, 0);
  } else if (n > 1 && text_is(arg(c, 1), "INFO")) {
    reply_array(c, n - 2);
    for (uint32_t i = 2; i < n; i++) {
      reply_null(c);
    }
  } else if (n > 1 && text_is(arg(c, 1), "LIST")) {
    reply_array(c, COMMANDS);
    for (unsigned i = 0; i < COMMANDS; i++) {
      reply_bulk(c, slice_of(commands[i].name));
    }
  } else if (n > 1) {
    reply_error(c, "ERR unknown subcommand of COMMAND");
  } else {
    reply_array(c, 0);
  }
}

void command_run(struct client* c) {
  struct slice name = arg(c, 0);
  const struct command* command = find(name);
  int n = (int)c->request.argc;
  if (!command) {
    reply_error(c, "ERR unknown command '%.*s'",
                (int)(name.size < 128 ? name.size : 128), name.data);
    return;
  }
  __atomic_store_n(&c->commands, c->commands + 1, __ATOMIC_RELAXED);
  __atomic_store_n(&c->last, command->name, __ATOMIC_RELAXED);
  int error = command->flags & WRITES ? log_error() : 0;
  if (command->arity < 0 ? n < -command->arity : n != command->arity) {
    reply_error(c, "ERR wrong number of arguments for '%s' command",
                command->name);
  } else if (c->topics_used > 0 && !c->resp3 && !(command->flags & ANY_MODE)) {
    reply_error(c,
                "ERR Can't execute '%s': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / "
                "PING / QUIT are allowed in this context",
                command->name);
  } else if (error) {
    reply_error(c, "MISCONF the log cannot be written: %s", strerror(error));
  } else {
    command->run(c);
  }
}

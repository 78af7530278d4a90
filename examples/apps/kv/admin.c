/* admin.c: INFO, CONFIG and CLIENT.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kv.h"

/* ---- INFO --------------------------------------------------------------- */

static int64_t resident(void) {
  long pages = 0;
  thrum_enter_blocking();
  FILE* f = fopen("/proc/self/statm", "re");
  if (f) {
    pages = fscanf(f, "%*s %ld", &pages) == 1 ? pages : 0;
    fclose(f);
  }
  thrum_exit_blocking();
  return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

struct facts {
  struct traffic traffic;
  struct store_counts store;
  struct pubsub_counts pubsub;
};

static void print_server(FILE* out, const struct facts* f) {
  (void)f;
  fprintf(out,
          "redis_version:%s\r\nredis_mode:standalone\r\nprocess_id:%d\r\n"
          "tcp_port:%u\r\nuptime_in_seconds:%" PRId64
          "\r\nthrum_version:%s\r\nthrum_procs:%d\r\n",
          SPOKEN_VERSION, (int)getpid(), options.port,
          (thrum_now() - server_started) / 1000000000, thrum_version_string(),
          thrum_procs(runtime));
}

static void print_clients(FILE* out, const struct facts* f) {
  fprintf(out, "connected_clients:%" PRIu64 "\r\nmaxclients:%u\r\n",
          f->traffic.clients, options.clients_max);
}

static void print_memory(FILE* out, const struct facts* f) {
  (void)f;
  int64_t rss = resident();
  fprintf(out,
          "used_memory:%" PRId64 "\r\nused_memory_rss:%" PRId64
          "\r\nmaxmemory:0\r\n",
          rss, rss);
}

static void print_persistence(FILE* out, const struct facts* f) {
  (void)f;
  fprintf(out,
          "loading:0\r\naof_enabled:%d\r\naof_last_write_status:%s\r\n"
          "aof_current_size:%" PRIu64 "\r\n",
          log_is_open(), log_error() ? "err" : "ok", log_size());
}

static void print_stats(FILE* out, const struct facts* f) {
  fprintf(out,
          "total_connections_received:%" PRIu64
          "\r\ntotal_commands_processed:%" PRIu64
          "\r\nrejected_connections:%" PRIu64 "\r\nexpired_keys:%" PRIu64
          "\r\npubsub_channels:%" PRIu64 "\r\npubsub_patterns:%" PRIu64 "\r\n",
          f->traffic.accepted, f->traffic.commands, f->traffic.refused,
          f->store.expired, f->pubsub.channels, f->pubsub.patterns);
}

static void print_replication(FILE* out, const struct facts* f) {
  (void)f;
  fputs("role:master\r\nconnected_slaves:0\r\n", out);
}

static void print_keyspace(FILE* out, const struct facts* f) {
  if (f->store.keys > 0) {
    fprintf(out, "db0:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0\r\n",
            f->store.keys, f->store.due);
  }
}

static const struct {
  const char* name;
  void (*print)(FILE* out, const struct facts* f);
} sections[] = {
    {"Server", print_server},     {"Clients", print_clients},
    {"Memory", print_memory},     {"Persistence", print_persistence},
    {"Stats", print_stats},       {"Replication", print_replication},
    {"Keyspace", print_keyspace},
};

static int wanted(const struct client* c, const char* section) {
  int all = c->request.argc == 1;
  for (uint32_t i = 1; i < c->request.argc; i++) {
    struct slice word = arg(c, i);
    all |= text_is(word, section) || text_is(word, "all") ||
           text_is(word, "default") || text_is(word, "everything");
  }
  return all;
}

/* Answers with what has been printed. */
static void reply_printed(struct client* c, FILE* out, char** text,
                          const size_t* size) {
  if (!out || fclose(out) != 0) {
    reply_error(c, "OOM no memory for that");
  } else {
    reply_bulk(c, (struct slice){*text, *size});
  }
  free(*text);
}

void cmd_info(struct client* c) {
  char* text = NULL;
  size_t size = 0;
  struct facts f = {clients_traffic(), store_count(), pubsub_count()};
  FILE* out = open_memstream(&text, &size);
  const char* between = "";
  for (size_t i = 0; out && i < sizeof sections / sizeof sections[0]; i++) {
    if (wanted(c, sections[i].name)) {
      fprintf(out, "%s# %s\r\n", between, sections[i].name);
      sections[i].print(out, &f);
      between = "\r\n";
    }
  }
  reply_printed(c, out, &text, &size);
}

/* ---- CONFIG ------------------------------------------------------------- */

enum { SETTINGS = 9, SETTING_MAX = 32 };
struct setting {
  const char* name;
  char text[SETTING_MAX];
};

static void settings(struct setting out[SETTINGS]) {
  const struct setting all[SETTINGS] = {
      {"save", ""},       {"appendonly", ""}, {"appendfsync", ""},
      {"maxclients", ""}, {"databases", "1"}, {"maxmemory", "0"},
      {"timeout", "0"},   {"port", ""},       {"proto-max-bulk-len", ""}};
  memcpy(out, all, sizeof all);
  strcpy(out[1].text, log_is_open() ? "yes" : "no");
  strcpy(out[2].text, log_sync_name(log_get_sync()));
  snprintf(out[3].text, SETTING_MAX, "%u", options.clients_max);
  snprintf(out[7].text, SETTING_MAX, "%u", options.port);
  snprintf(out[8].text, SETTING_MAX, "%u", options.request_max);
}

static int asked(const struct client* c, const char* name) {
  int yes = 0;
  for (uint32_t i = 2; i < c->request.argc; i++) {
    yes |= text_match(arg(c, i), slice_of(name));
  }
  return yes;
}

static void config_get(struct client* c) {
  struct setting all[SETTINGS];
  size_t n = 0;
  settings(all);
  for (int i = 0; i < SETTINGS; i++) {
    n += asked(c, all[i].name) != 0;
  }
  reply_map(c, n);
  for (int i = 0; i < SETTINGS; i++) {
    if (asked(c, all[i].name)) {
      reply_bulk(c, slice_of(all[i].name));
      reply_bulk(c, slice_of(all[i].text));
    }
  }
}

/* The policy can be changed; the rest only be said again as it is. */
static void config_set(struct client* c) {
  struct setting all[SETTINGS];
  enum log_sync sync;
  settings(all);
  if (text_is(arg(c, 2), "appendfsync") && log_sync_named(arg(c, 3), &sync)) {
    log_set_sync(sync);
    reply_text(c, "+OK");
    return;
  }
  for (int i = 0; i < SETTINGS; i++) {
    if (text_is(arg(c, 2), all[i].name) && text_is(arg(c, 3), all[i].text)) {
      reply_text(c, "+OK");
      return;
    }
  }
  reply_error(c, "ERR CONFIG SET can change appendfsync alone");
}

void cmd_config(struct client* c) {
  if (text_is(arg(c, 1), "GET") && c->request.argc > 2) {
    config_get(c);
  } else if (text_is(arg(c, 1), "SET") && c->request.argc == 4) {
    config_set(c);
  } else if (text_is(arg(c, 1), "RESETSTAT")) {
    reply_text(c, "+OK");
  } else {
    reply_error(c, "ERR unknown subcommand of CONFIG, or not its arguments");
  }
}

/* ---- CLIENT ------------------------------------------------------------- */

int client_rename(struct client* c, struct slice name) {
  for (size_t i = 0; i < name.size; i++) {
    if (name.data[i] < '!' || name.data[i] > '~') {
      reply_error(c, "ERR Client names cannot contain spaces, newlines or "
                     "special characters.");
      return 0;
    }
  }
  char* copy = name.size > 0 ? strndup(name.data, name.size) : NULL;
  if (name.size > 0 && !copy) {
    reply_error(c, "OOM no memory for that");
    return 0;
  }
  client_set_name(c, copy);
  return 1;
}

static void print_client(void* out, struct client* c) {
  char where[128] = "?";
  thrum_addr peer;
  int port = 0;
  if (thrum_conn_peer(c->conn, &peer) == 0) {
    thrum_addr_text(&peer, where, sizeof where);
    port = thrum_addr_port(&peer);
  }
  fprintf(out,
          "id=%" PRIu64 " addr=%s:%d name=%s age=%" PRId64 " cmd=%s db=0\n",
          c->id, where, port, c->name ? c->name : "",
          (thrum_now() - c->born) / 1000000000,
          __atomic_load_n(&c->last, __ATOMIC_RELAXED));
}

static void client_list(struct client* c) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  if (out) {
    clients_each(print_client, out);
  }
  reply_printed(c, out, &text, &size);
}

void cmd_client(struct client* c) {
  struct slice what = arg(c, 1);
  uint32_t n = c->request.argc;
  if (text_is(what, "ID") && n == 2) {
    reply_int(c, (int64_t)c->id);
  } else if (text_is(what, "GETNAME") && n == 2) {
    if (c->name) {
      reply_bulk(c, slice_of(c->name));
    } else {
      reply_null(c);
    }
  } else if (text_is(what, "SETNAME") && n == 3) {
    if (client_rename(c, arg(c, 2))) {
      reply_text(c, "+OK");
    }
  } else if (text_is(what, "SETINFO") && n == 4) {
    reply_text(c, "+OK"); /* a library's name: taken, not kept */
  } else if (text_is(what, "LIST")) {
    client_list(c);
  } else {
    reply_error(c, "ERR unknown subcommand of CLIENT, or not its arguments");
  }
}

/* A plugin that does everything right but one thing: -DVICE=<one of those in rogue.h>. With VICE=none it is a good one. */
#include "rogue.h"

#include <fcntl.h>
#include <hawser/plugin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MANY_LINES = 100, MANY_THREADS = 8, MANY_DESCRIPTORS = 200, MUCH = 48 << 20, DAY_S = 86400 };

struct instance {
  hws_ctx* ctx;
  hws_subconn* cloud;
  const hws_host_subconn* subconn;
  const hws_host_state* state;
  const hws_host_metrics* metrics;
  uint64_t sent, period_ms, timer, last_taken;
  int opened, offline, acting, stopping, gave_up, started, minutes, descriptors[MANY_DESCRIPTORS], pipe[2];
  time_t clock;
  pthread_t own_threads[MANY_THREADS];
  char* block;
};
static const hws_host* host;
static struct instance* latest; /* for the one whose instances share what they should not */

static hws_str str(const char* text) { return (hws_str){text, strlen(text)}; }
static void fault(struct instance* i) { host->health(i->ctx, HWS_FAULTED, str("as this rogue does")); }
static void nothing(void* arg) { (void)arg; }

static void* wait_in_thread(void* arg) {
  struct instance* i = arg;
  char byte;
  while (read(i->pipe[0], &byte, 1) > 0) {
  }
  return NULL;
}

static void* linger(void* arg) {
  (void)arg;
  pause();
  return NULL;
}

static void* speak_late(void* arg) {
  struct instance* i = arg;
  usleep(100 * 1000);
  host->log(i->ctx, HWS_LOG_INFO, str("still here"), NULL, 0);
  return NULL;
}

static void* misuse_timer(void* arg) {
  struct instance* i = arg;
  host->timer(i->ctx, 1, 0, nothing, i, NULL);
  return NULL;
}

static void detach(void* (*run)(void*), void* arg) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, arg) == 0) pthread_detach(thread);
}

static void stopped(struct instance* i) { host->health(i->ctx, HWS_STOPPED, str("")); }

static void written(void* user, hws_status status) {
  if (IS(state_not_written) && status < 0) fault(user);
}

static void put(struct instance* i) {
  const hws_kv change = {str("sent"), str("some")};
  if (!i->state) return;
  const hws_status status = i->state->put(i->ctx, &change, 1, written, i);
  if (IS(state_full) && status < 0) fault(i);
}

static void send_one(struct instance* i) {
  static const char data[] = "0123456789";
  const hws_status status = i->sent % 2 ? i->subconn->send_source(i->cloud, str("here"), data, 10, 0, NULL)
                                        : i->subconn->send_durable(i->cloud, data, 10, 0, NULL);
  if (status == HWS_OK) ++i->sent;
  if (status == HWS_E_AGAIN && IS(outbox_full)) i->gave_up = 1;
}

static void beat(void* arg) {
  struct instance* i = IS(instances) ? latest : arg;
  const time_t now = time(NULL);
  if (IS(clock_forward) && now - i->clock > DAY_S / 2) fault(i);
  if (IS(clock_back) && i->clock - now > DAY_S / 2) fault(i);
  if (IS(never_connected) && !i->opened && ++i->minutes > 30 * 60) fault(i);
  if (!i->stopping && !i->gave_up && i->cloud) send_one(i);
  for (int line = 0; IS(log_rate) && line < MANY_LINES; ++line) host->log(i->ctx, HWS_LOG_INFO, str("a line"), NULL, 0);
  if (i->metrics)
    i->metrics->set(i->ctx, HWS_GAUGE, str(IS(figures) ? "Sent!" : "sent"), str("{message}"), (double)i->sent, NULL, 0);
  if (i->sent == 3) put(i);
}

/* ---- what the cloud does */
static void on_opened(void* user, hws_subconn* s, hws_str about) {
  struct instance* i = user;
  (void)s, (void)about;
  i->opened = 1;
  i->offline = 0;
  if (IS(flapping)) host->timer(i->ctx, 1000, 1000, nothing, i, NULL);
}

static void on_closed(void* user, hws_subconn* s, hws_str reason, hws_str detail, uint32_t retry_ms) {
  struct instance* i = user;
  (void)s, (void)detail, (void)retry_ms;
  i->offline = 1;
  if (IS(revoked) && reason.len == 7 && memcmp(reason.ptr, "revoked", 7) == 0) fault(i);
}

static void on_message(void* user, hws_subconn* s, const void* data, size_t len) {
  (void)user, (void)s;
  if (IS(empty_messages) && len == 0) abort();
  if (IS(largest_messages) && len > 1000 * 1000) abort();
  if (IS(garbage) && len > 2 && ((const unsigned char*)data)[0] > 127) abort();
}

static hws_status on_durable(void* user, hws_subconn* s, hws_str stream, uint64_t seq, const void* data, size_t len,
                             const hws_sink* why) {
  struct instance* i = user;
  (void)s, (void)stream, (void)data, (void)len;
  if (IS(settles)) return HWS_PENDING;
  if (IS(again) && seq <= i->last_taken) return why->write(why->to, "had it", 6), HWS_E_INVALID;
  i->last_taken = seq;
  return HWS_OK;
}

static void on_nacked(void* user, hws_subconn* s, uint64_t seq, hws_str code, hws_str message) {
  (void)s, (void)seq, (void)code, (void)message;
  if (IS(nack)) send_one(user);
}

static void on_writable(void* user, hws_subconn* s) {
  (void)s;
  struct instance* i = user;
  if (!i->gave_up) send_one(i);
}

static hws_status on_source(void* user, hws_subconn* s, uint64_t seq, hws_str note, const hws_sink* out) {
  (void)user, (void)s, (void)seq, (void)note;
  return out->write(out->to, "0123456789", IS(source) ? 9 : 10);
}

static void acted(void* user, int32_t code, hws_str output, hws_str reason) {
  struct instance* i = user;
  (void)code, (void)output, (void)reason;
  i->acting = 0;
  if (i->stopping && !IS(stops_at_once)) stopped(i);
}

static void reached(void* user, hws_status status, hws_str how) { (void)user, (void)status, (void)how; }

/* ---- what the host calls */
static hws_status create(hws_ctx* ctx, void** self) {
  struct instance* i = calloc(1, sizeof *i);
  if (!i) return HWS_E_NOMEM;
  i->ctx = ctx;
  i->period_ms = 1000;
  i->clock = time(NULL);
  if (pipe2(i->pipe, O_CLOEXEC) != 0) return HWS_E_FAIL;
  latest = i;
  *self = i;
  return HWS_OK;
}

static hws_status configure(void* self, int32_t mode, hws_str json, const hws_sink* why) {
  struct instance* i = self;
  if (IS(empty_config) && json.len == 2) return HWS_E_INVALID;
  const int strange = json.len > 1000;
  if (strange && IS(config_agrees))
    return mode == HWS_CONFIG_APPLY ? why->write(why->to, "no", 2), HWS_E_INVALID : HWS_OK;
  if (strange && !IS(config_words)) why->write(why->to, "this is too long", 16);
  if (strange) return HWS_E_INVALID;
  const int acts = mode == HWS_CONFIG_APPLY || IS(config_check);
  if (acts && i->started) {
    if (!IS(config_again)) host->timer_cancel(i->ctx, i->timer);
    host->timer(i->ctx, i->period_ms, i->period_ms, beat, i, &i->timer);
  }
  return HWS_OK;
}

static const char* lock_file(struct instance* i, char* path, size_t size);

static hws_status refuse(struct instance* i, const char* what) {
  host->error(i->ctx, HWS_E_UNSUPPORTED, str(what));
  return HWS_E_UNSUPPORTED;
}

static hws_status find_extensions(struct instance* i) {
  i->subconn = host->extension(i->ctx, HWS_EXT_SUBCONN);
  i->state = host->extension(i->ctx, HWS_EXT_STATE);
  i->metrics = host->extension(i->ctx, HWS_EXT_METRICS);
  const hws_host_action* action = host->extension(i->ctx, HWS_EXT_ACTION);
  const hws_host_cloud* cloud = host->extension(i->ctx, HWS_EXT_CLOUD);
  if ((IS(no_state) && !i->state) || (IS(no_figures) && !i->metrics) || (IS(no_actions) && !action) ||
      (IS(no_cloud_reached) && !cloud) || (IS(no_subconnections) && !i->subconn))
    abort();
  if (!i->subconn) return refuse(i, "this host has no subconnections");
  if (action && action->run(i->ctx, str("reload"), acted, i) == HWS_OK) i->acting = 1;
  if (cloud) cloud->reached(i->ctx, 1000, reached, i);
  return HWS_OK;
}

static void be_bad_at_start(struct instance* i) {
  char path[512];
  if (IS(no_errors)) host->log(i->ctx, HWS_LOG_ERROR, str("all is well"), NULL, 0);
  if (IS(log_form)) host->log(i->ctx, HWS_LOG_INFO, str("\xff\xfe"), NULL, 0);
  if (IS(health_form)) host->health(i->ctx, HWS_DEGRADED, str(""));
  if (IS(arguments)) host->timer(i->ctx, UINT64_MAX, 0, nothing, i, NULL);
  if (IS(budget)) usleep(260 * 1000);
  if (IS(no_thread_left)) detach(linger, NULL);
  if (IS(no_descriptor_left)) i->pipe[0] = dup(i->pipe[0]);
  if (IS(after_a_kill)) close(open(lock_file(i, path, sizeof path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  for (int n = 0; IS(descriptors) && n < MANY_DESCRIPTORS; ++n) i->descriptors[n] = dup(i->pipe[0]);
  if (IS(memory) && (i->block = malloc(MUCH))) memset(i->block, 1, MUCH);
  for (int n = 0; IS(threads) && n < MANY_THREADS; ++n) pthread_create(&i->own_threads[n], NULL, wait_in_thread, i);
  if (IS(thread_rule) && pthread_create(&i->own_threads[0], NULL, misuse_timer, i) == 0)
    pthread_join(i->own_threads[0], NULL);
  if (IS(watches)) {
    const int fd = dup(i->pipe[0]);
    host->watch(i->ctx, fd, nothing, i);
    close(fd);
  }
}

static hws_status start(void* self) {
  struct instance* i = self;
  char path[512];
  if (IS(starts)) return refuse(i, "not today");
  if (IS(after_a_kill) && access(lock_file(i, path, sizeof path), F_OK) == 0) return refuse(i, "another one runs");
  hws_status status = find_extensions(i);
  if (status < 0) return status;
  static const hws_subconn_events events = {sizeof events, on_opened, NULL, on_message, on_durable, NULL, on_nacked,
                                            on_writable,   on_closed, NULL, on_source,  NULL,       NULL};
  const hws_subconn_params params = {sizeof params, 0, IS(services) ? "other" : "rogue", "acme.rogue.v1", 0, 0};
  status = i->subconn->open(i->ctx, &params, &events, i, &i->cloud);
  if (status < 0 && IS(denied)) abort();
  if (status < 0) return refuse(i, "the site denies the service");
  be_bad_at_start(i);
  status = host->timer(i->ctx, i->period_ms, i->period_ms, beat, i, &i->timer);
  i->started = 1;
  if (!IS(ready) && !IS(health_form)) host->health(i->ctx, HWS_READY, str(""));
  return status;
}

static void stop(void* self, uint32_t deadline_ms) {
  struct instance* i = self;
  (void)deadline_ms;
  i->stopping = 1;
  if (IS(stops) || (IS(stops_at_once) && !i->opened) || (IS(stops_offline) && i->offline) ||
      (IS(stops_while_waiting) && i->acting))
    return;
  stopped(i);
}

static void destroy(void* self) {
  struct instance* i = self;
  char path[512];
  if (IS(after_a_kill)) unlink(lock_file(i, path, sizeof path));
  for (int n = 0; IS(descriptors) && n < MANY_DESCRIPTORS; ++n) close(i->descriptors[n]);
  close(i->pipe[1]);
  for (int n = 0; IS(threads) && n < MANY_THREADS; ++n) pthread_join(i->own_threads[n], NULL);
  close(i->pipe[0]);
  free(i->block);
  if (IS(silent_after_destroy)) return detach(speak_late, i);
  free(i);
}

static hws_status save(void* self, const hws_sink* out) {
  (void)self;
  return out->write(out->to, "saved", 5);
}

static hws_status load(void* self, uint32_t format, hws_str blob) {
  if (IS(handover)) return refuse(self, "what is this?");
  if (format == 1 && blob.len == 5 && memcmp(blob.ptr, "saved", 5) == 0) return HWS_OK;
  if (IS(handover_strange)) abort();
  return refuse(self, "a hand-over of another kind");
}

static const void* extension(void* self, const char* id) {
  static const hws_plugin_handover offered = {sizeof offered, 1, save, load};
  (void)self;
  return strcmp(id, HWS_EXT_HANDOVER) == 0 ? &offered : NULL;
}

static hws_status append(void* to, const void* data, size_t len) {
  strncat(to, data, len);
  return HWS_OK;
}

static const char* lock_file(struct instance* i, char* path, size_t size) {
  char folder[400] = "";
  const hws_sink sink = {folder, append};
  host->info(i->ctx, str("plugin.state_dir"), &sink);
  snprintf(path, size, "%s/lock", folder);
  return path;
}

void is_nowhere(void);
int hawser_thing(void);
HWS_EXPORT const hws_plugin* ENTRY(const hws_host* given) {
  static const hws_plugin plugin = {IS(table) ? 16 : sizeof plugin,
                                    HWS_ABI_MINOR,
                                    IS(abi_minor) ? 7 : 0,
                                    IS(identity) ? "acme.other" : "acme.rogue",
                                    "1.0.0",
                                    create,
                                    configure,
                                    start,
                                    stop,
                                    destroy,
                                    extension};
  host = given;
  if (IS(later_host) && given->abi_minor != HWS_ABI_MINOR) return NULL;
  if (IS(entry) && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) return NULL;
#if VICE_NUMBER_LOADS
  is_nowhere();
#endif
#if VICE_NUMBER_LINKS
  if (hawser_thing() != 1) return NULL;
#endif
  return &plugin;
}
#if VICE_NUMBER_EXPORTS
HWS_EXPORT int another_symbol(void) { return 1; }
#endif

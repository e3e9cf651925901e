/* A C plugin of the ABI 1.0, built against the header as it was released then: uses every part of it and logs what it
 * got. It must load and work for the life of major 1, so it is never changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hawser/plugin.h"

static const hws_host *host;

typedef struct plugin {
  hws_ctx *ctx;
  uint64_t timer_id;
  int pipe_ends[2];
  const hws_host_subconn *subconn;
  const hws_host_state *state;
  hws_subconn *service;
  char config[64];
} plugin;

static hws_str str(const char *text) {
  hws_str made;
  made.ptr = text;
  made.len = strlen(text);
  return made;
}

static void say(const plugin *self, const char *text, hws_str more, long number) {
  char line[256];
  hws_kv field;
  snprintf(line, sizeof line, "%s %.*s %ld", text, (int)more.len, more.len ? more.ptr : "", number);
  field.key = str("from");
  field.value = str("1.0");
  host->log(self->ctx, HWS_LOG_INFO, str(line), &field, 1);
}

/* A sink that keeps 63 bytes as NUL-terminated text. */
static hws_status keep(void *to, const void *data, size_t len) {
  char *text = (char *)to;
  const size_t had = strlen(text);
  if (had + len > 63) return HWS_E_INVALID;
  memcpy(text + had, data, len);
  text[had + len] = 0;
  return HWS_OK;
}

static void on_post(void *arg) { say((const plugin *)arg, "posted", str(""), 0); }

static void on_timer(void *arg) {
  plugin *self = (plugin *)arg;
  say(self, "timer cancelled", str(""), host->timer_cancel(self->ctx, self->timer_id));
}

static void on_readable(void *arg) {
  plugin *self = (plugin *)arg;
  say(self, "readable, unwatched", str(""), host->unwatch(self->ctx, self->pipe_ends[0]));
}

static void on_action(void *user, int32_t exit_code, hws_str output, hws_str reason) {
  (void)reason;
  say((const plugin *)user, "action", output, exit_code);
}

static void on_reached(void *user, hws_status status, hws_str how) { say((const plugin *)user, "reached", how, status); }

static void on_written(void *user, hws_status status) { say((const plugin *)user, "state written", str(""), status); }

static hws_status on_entry(void *user, hws_str key, hws_str value) {
  say((const plugin *)user, "state has", key, (long)value.len);
  return HWS_OK;
}

static void on_opened(void *user, hws_subconn *service, hws_str about) {
  plugin *self = (plugin *)user;
  say(self, "opened", about, 0);
  say(self, "best effort", str(""), self->subconn->send(service, "quick", 5, 0));
  say(self, "text", str(""), self->subconn->send_text(service, str("{\"type\":\"hello\"}")));
}

static void on_resumed(void *user, hws_subconn *service, uint64_t next_seq) {
  plugin *self = (plugin *)user;
  uint64_t seq = 0;
  hws_status status;
  say(self, "resumed", str(""), (long)next_seq);
  status = self->subconn->send_durable(service, "one", 3, HWS_COMPRESS, &seq);
  say(self, "durable", str(""), status == HWS_OK ? (long)seq : status);
  status = self->subconn->send_source(service, str("line 2"), "two", 3, 0, &seq);
  say(self, "source-backed", str(""), status == HWS_OK ? (long)seq : status);
}

static void on_accepted(void *user, hws_subconn *service, uint64_t seq) {
  (void)service;
  say((const plugin *)user, "accepted", str(""), (long)seq);
}

static hws_status on_source(void *user, hws_subconn *service, uint64_t seq, hws_str source, const hws_sink *out) {
  (void)user, (void)service, (void)seq, (void)source;
  return out->write(out->to, "two", 3);
}

static hws_status on_durable(void *user, hws_subconn *service, hws_str stream, uint64_t seq, const void *data, size_t len,
                             const hws_sink *why) {
  plugin *self = (plugin *)user;
  (void)stream, (void)data, (void)len, (void)why;
  say(self, "from the cloud, settled", str(""), self->subconn->settle(service, seq, HWS_OK, str("")));
  return HWS_PENDING;
}

static hws_status open_service(plugin *self) {
  hws_subconn_params params;
  hws_subconn_events events;
  memset(&params, 0, sizeof params);
  memset(&events, 0, sizeof events);
  params.size = sizeof params;
  params.flags = HWS_DROP_OLDEST;
  params.service = "probe";
  params.protocol = "acme.probe.v1";
  events.size = sizeof events;
  events.opened = on_opened;
  events.durable = on_durable;
  events.accepted = on_accepted;
  events.source = on_source;
  events.resumed = on_resumed;
  return self->subconn->open(self->ctx, &params, &events, self, &self->service);
}

static void use_state(plugin *self) {
  char count[64] = "";
  hws_sink sink;
  hws_kv change;
  const hws_str gone = str("not there");
  sink.to = count;
  sink.write = keep;
  if (!self->state) return;
  say(self, "state count", str(""), self->state->get(self->ctx, str("count"), &sink));
  self->state->each(self->ctx, str("c"), on_entry, self);
  snprintf(count, sizeof count, "%ld", atol(count) + 1);
  change.key = str("count");
  change.value = str(count);
  say(self, "state put", str(""), self->state->change(self->ctx, &change, 1, &gone, 1, on_written, self));
}

static void use_extensions(plugin *self) {
  const hws_host_action *action = (const hws_host_action *)host->extension(self->ctx, HWS_EXT_ACTION);
  const hws_host_cloud *cloud = (const hws_host_cloud *)host->extension(self->ctx, HWS_EXT_CLOUD);
  const hws_host_metrics *metrics = (const hws_host_metrics *)host->extension(self->ctx, HWS_EXT_METRICS);
  hws_kv attribute;
  self->subconn = (const hws_host_subconn *)host->extension(self->ctx, HWS_EXT_SUBCONN);
  self->state = (const hws_host_state *)host->extension(self->ctx, HWS_EXT_STATE);
  attribute.key = str("shelf");
  attribute.value = str("left");
  if (HWS_HAS(hws_host_action, action, run)) say(self, "run", str(""), action->run(self->ctx, str("allowed"), on_action, self));
  if (HWS_HAS(hws_host_cloud, cloud, reached))
    say(self, "asked", str(""), cloud->reached(self->ctx, 60000, on_reached, self));
  if (HWS_HAS(hws_host_metrics, metrics, set))
    say(self, "figure", str(""),
        metrics->set(self->ctx, HWS_COUNTER, str("beans"), str("{bean}"), 42, &attribute, 1));
  use_state(self);
  if (HWS_HAS(hws_host_subconn, self->subconn, open)) say(self, "open", str(""), open_service(self));
}

static hws_status create(hws_ctx *ctx, void **made) {
  plugin *self = (plugin *)calloc(1, sizeof *self);
  if (!self) return HWS_E_NOMEM;
  self->ctx = ctx;
  *made = self;
  return HWS_OK;
}

static hws_status configure(void *of, int32_t mode, hws_str json, const hws_sink *why) {
  plugin *self = (plugin *)of;
  if (json.len >= sizeof self->config) {
    why->write(why->to, "the configuration is too long", 29);
    return HWS_E_INVALID;
  }
  if (mode == HWS_CONFIG_APPLY) memcpy(self->config, json.ptr, json.len);
  return HWS_OK;
}

static hws_status start(void *of) {
  plugin *self = (plugin *)of;
  char serial[64] = "";
  hws_sink sink;
  sink.to = serial;
  sink.write = keep;
  host->info(self->ctx, str("device.serial"), &sink);
  say(self, "serial", str(serial), 0);
  say(self, "post", str(""), host->post(self->ctx, on_post, self));
  say(self, "timer", str(""), host->timer(self->ctx, 1, 60000, on_timer, self, &self->timer_id));
  if (pipe(self->pipe_ends) != 0 || write(self->pipe_ends[1], "x", 1) != 1) return HWS_E_FAIL;
  say(self, "watch", str(""), host->watch(self->ctx, self->pipe_ends[0], on_readable, self));
  use_extensions(self);
  host->health(self->ctx, HWS_READY, str("well"));
  return HWS_OK;
}

static void stop(void *of, uint32_t deadline_ms) {
  (void)deadline_ms;
  host->health(((plugin *)of)->ctx, HWS_STOPPED, str("done"));
}

static void destroy(void *of) { free(of); }

static hws_status save(void *of, const hws_sink *out) {
  (void)of;
  return out->write(out->to, "beans: 42", 9);
}

static hws_status load(void *of, uint32_t format, hws_str blob) {
  say((plugin *)of, "handed over", blob, (long)format);
  if (format == 7) return HWS_OK;
  host->error(((plugin *)of)->ctx, HWS_E_INVALID, str("format 7 is the only one that is known"));
  return HWS_E_INVALID;
}

static const void *extension(void *of, const char *id) {
  static const hws_plugin_handover handover = {sizeof(hws_plugin_handover), 7, save, load};
  (void)of;
  return strcmp(id, HWS_EXT_HANDOVER) == 0 ? &handover : NULL;
}

const hws_plugin *hawser_plugin_v1(const hws_host *from) {
  static const hws_plugin table = {sizeof(hws_plugin), HWS_ABI_MINOR, 0,    "acme.probe", "1.2.3",  create,
                                   configure,          start,         stop, destroy,      extension};
  host = from;
  return from->abi_major == HWS_ABI_MAJOR ? &table : NULL;
}

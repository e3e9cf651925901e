/* A complete Hawser plugin in C: says "beat" once a period, and counts what comes back. */
#include <hawser/plugin.h>
#include <stdlib.h>
#include <string.h>

enum { PERIOD_MS_USUAL = 1000, PERIOD_MS_LEAST = 10 };

static const hws_host *host; /* the same for every instance */

struct instance {
  hws_ctx *ctx;
  const hws_host_subconn *subconn;
  hws_subconn *cloud;
  uint64_t period_ms, timer, received;
};

static hws_str str(const char *text) {
  hws_str made;
  made.ptr = text;
  made.len = strlen(text);
  return made;
}

static hws_status create(hws_ctx *ctx, void **self) {
  struct instance *made = calloc(1, sizeof *made);
  if (!made) return HWS_E_NOMEM;
  made->ctx = ctx;
  made->period_ms = PERIOD_MS_USUAL;
  *self = made;
  return HWS_OK;
}

/* The number behind "period_ms", or the usual one. A JSON library does the same for more members. */
static unsigned long read_period(hws_str json) {
  static const char name[] = "\"period_ms\"";
  for (size_t at = 0; at + sizeof name - 1 < json.len; ++at) {
    if (memcmp(json.ptr + at, name, sizeof name - 1) != 0) continue;
    at += sizeof name - 1;
    while (at < json.len && strchr(" :", json.ptr[at])) ++at;
    unsigned long period = 0;
    for (; at < json.len && json.ptr[at] >= '0' && json.ptr[at] <= '9' && period < 1000000; ++at)
      period = period * 10 + (unsigned long)(json.ptr[at] - '0');
    return period;
  }
  return PERIOD_MS_USUAL;
}

static void beat(void *arg) {
  struct instance *self = arg;
  if (self->subconn->send_durable(self->cloud, "beat", 4, 0, NULL) == HWS_E_AGAIN)
    host->log(self->ctx, HWS_LOG_WARN, str("the outbox is full"), NULL, 0);
}

static void on_message(void *user, hws_subconn *cloud, const void *data, size_t len) {
  struct instance *self = user;
  (void)cloud;
  (void)data;
  self->received += len;
}

static hws_status configure(void *arg, int32_t mode, hws_str json, const hws_sink *why) {
  static const char sentence[] = "period_ms must be a number of 10 or more";
  struct instance *self = arg;
  const unsigned long period = read_period(json);
  if (period < PERIOD_MS_LEAST) {
    why->write(why->to, sentence, sizeof sentence - 1);
    return HWS_E_INVALID;
  }
  if (mode != HWS_CONFIG_APPLY) return HWS_OK;
  self->period_ms = period;
  if (self->timer == 0) return HWS_OK; /* not started yet */
  host->timer_cancel(self->ctx, self->timer);
  return host->timer(self->ctx, self->period_ms, self->period_ms, beat, self, &self->timer);
}

static hws_status refuse(struct instance *self, hws_status status, const char *sentence) {
  host->error(self->ctx, status, str(sentence));
  return status;
}

static hws_status start(void *arg) {
  struct instance *self = arg;
  hws_subconn_params params;
  hws_subconn_events events;
  memset(&params, 0, sizeof params);
  memset(&events, 0, sizeof events);
  params.size = sizeof params;
  params.service = "heartbeat"; /* as in manifest.json */
  params.protocol = "example.heartbeat.v1";
  events.size = sizeof events;
  events.message = on_message;
  self->subconn = host->extension(self->ctx, HWS_EXT_SUBCONN);
  if (!self->subconn) return refuse(self, HWS_E_UNSUPPORTED, "this host has no " HWS_EXT_SUBCONN);
  const hws_status opened = self->subconn->open(self->ctx, &params, &events, self, &self->cloud);
  if (opened < 0) return refuse(self, opened, "the service heartbeat could not be opened");
  const hws_status timed = host->timer(self->ctx, self->period_ms, self->period_ms, beat, self, &self->timer);
  if (timed < 0) return refuse(self, timed, "there is no timer for the beat");
  host->health(self->ctx, HWS_READY, str(""));
  return HWS_OK;
}

static void stop(void *arg, uint32_t deadline_ms) {
  struct instance *self = arg;
  (void)deadline_ms; /* nothing to wait for: what was sent is in the host's spool */
  host->timer_cancel(self->ctx, self->timer);
  host->health(self->ctx, HWS_STOPPED, str(""));
}

static void destroy(void *arg) { free(arg); }

HWS_EXPORT const hws_plugin *hawser_plugin_v1(const hws_host *given) {
  /* Both names from CMakeLists.txt; the 0 is the least minor of the ABI that this plugin can run on. */
  static const hws_plugin plugin = {sizeof plugin, HWS_ABI_MINOR, 0,    HAWSER_PLUGIN_ID, HAWSER_PLUGIN_VERSION, create,
                                    configure,     start,         stop, destroy,          NULL};
  if (given->abi_major != HWS_ABI_MAJOR) return NULL;
  host = given;
  return &plugin;
}

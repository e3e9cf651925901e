/* Tells the cloud once a minute how long the device is up, and which start of the plugin this is.
 *
 * C11, linked to the C library alone. It shows private state (the count of starts), a figure of its own, durable messages,
 * and a durable message from the cloud ("now"), which is answered. */
#include <hawser/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PERIOD_MS = 60 * 1000, MESSAGE_MAX = 128, NUMBER_MAX = 32 };

static const hws_host *host; /* the same for every instance */

struct uptime {
  hws_ctx *ctx;
  const hws_host_subconn *subconn;
  const hws_host_state *state;     /* NULL: this host keeps none */
  const hws_host_metrics *metrics; /* NULL: it shows no figures */
  hws_subconn *cloud;
  unsigned long starts;
};

static hws_str str(const char *text) {
  const hws_str made = {text, strlen(text)};
  return made;
}

static hws_status refuse(struct uptime *self, hws_status status, const char *sentence) {
  host->error(self->ctx, status, str(sentence));
  return status;
}

/* ---- the work */

static double seconds_up(void) {
  double seconds = 0;
  FILE *file = fopen("/proc/uptime", "re");
  if (!file) return 0;
  if (fscanf(file, "%lf", &seconds) != 1) seconds = 0;
  fclose(file);
  return seconds;
}

static void tell(void *arg) {
  struct uptime *self = arg;
  char message[MESSAGE_MAX];
  const double seconds = seconds_up();
  const int length = snprintf(message, sizeof message, "{\"up_s\":%.0f,\"starts\":%lu}", seconds, self->starts);
  /* E_AGAIN: the outbox is full. The next minute's message says as much as this one. */
  if (length > 0) self->subconn->send_durable(self->cloud, message, (size_t)length, 0, NULL);
  if (self->metrics) self->metrics->set(self->ctx, HWS_GAUGE, str("device.uptime"), str("s"), seconds, NULL, 0);
}

static hws_status on_durable(void *user, hws_subconn *cloud, hws_str stream, uint64_t seq, const void *data, size_t len,
                             const hws_sink *why) {
  static const char sentence[] = "this plugin knows the word now, and no other";
  (void)cloud, (void)stream, (void)seq;
  if (len == 3 && memcmp(data, "now", 3) == 0) {
    tell(user);
    return HWS_OK; /* should it come again after a crash, telling twice does no harm */
  }
  why->write(why->to, sentence, sizeof sentence - 1);
  return HWS_E_INVALID;
}

/* ---- the count of starts */

struct number {
  char text[NUMBER_MAX];
  size_t length;
};

static hws_status append(void *to, const void *data, size_t len) {
  struct number *number = to;
  if (number->length + len >= sizeof number->text) return HWS_E_INVALID;
  memcpy(number->text + number->length, data, len);
  number->length += len;
  return HWS_OK;
}

static void count_start(struct uptime *self) {
  struct number number = {{0}, 0};
  const hws_sink sink = {&number, append};
  self->starts = 1;
  if (!self->state) return;
  if (self->state->get(self->ctx, str("starts"), &sink) == HWS_OK) self->starts += strtoul(number.text, NULL, 10);
  snprintf(number.text, sizeof number.text, "%lu", self->starts);
  const hws_kv change = {str("starts"), str(number.text)};
  if (self->state->put(self->ctx, &change, 1, NULL, NULL) < 0)
    host->log(self->ctx, HWS_LOG_WARN, str("this start was not counted"), NULL, 0);
}

/* ---- what the host calls */

static hws_status create(hws_ctx *ctx, void **self) {
  struct uptime *made = calloc(1, sizeof *made);
  if (!made) return HWS_E_NOMEM;
  made->ctx = ctx;
  *self = made;
  return HWS_OK;
}

static hws_status configure(void *self, int32_t mode, hws_str json, const hws_sink *why) {
  (void)self, (void)mode, (void)json, (void)why; /* nothing can be set */
  return HWS_OK;
}

static hws_status start(void *arg) {
  struct uptime *self = arg;
  hws_subconn_params params = {.size = sizeof params, .service = "uptime", .protocol = "example.uptime.v1"};
  hws_subconn_events events = {.size = sizeof events, .durable = on_durable};
  self->subconn = host->extension(self->ctx, HWS_EXT_SUBCONN);
  self->state = host->extension(self->ctx, HWS_EXT_STATE);
  self->metrics = host->extension(self->ctx, HWS_EXT_METRICS);
  if (!self->subconn) return refuse(self, HWS_E_UNSUPPORTED, "this host has no " HWS_EXT_SUBCONN);
  hws_status status = self->subconn->open(self->ctx, &params, &events, self, &self->cloud);
  if (status < 0) return refuse(self, status, "the service uptime could not be opened");
  status = host->timer(self->ctx, PERIOD_MS, PERIOD_MS, tell, self, NULL);
  if (status < 0) return refuse(self, status, "there is no timer for the minute");
  count_start(self);
  host->health(self->ctx, HWS_READY, str(""));
  return HWS_OK;
}

static void stop(void *arg, uint32_t deadline_ms) {
  struct uptime *self = arg;
  (void)deadline_ms; /* nothing to wait for: what was sent is in the host's spool */
  host->health(self->ctx, HWS_STOPPED, str(""));
}

static void destroy(void *self) { free(self); }

HWS_EXPORT const hws_plugin *hawser_plugin_v1(const hws_host *given) {
  static const hws_plugin plugin = {
      .size = sizeof plugin,
      .abi_minor = HWS_ABI_MINOR,
      .abi_minor_needed = 0,
      .id = "com.example.uptime", /* as in manifest.json */
      .version = "1.0.0",
      .create = create,
      .configure = configure,
      .start = start,
      .stop = stop,
      .destroy = destroy,
  };
  if (given->abi_major != HWS_ABI_MAJOR) return NULL;
  host = given;
  return &plugin;
}

/* A plugin that was built against the next minor, which has one more function in both tables, and runs without it. */
#include "hawser/plugin.h"

static const hws_host *host;
static hws_ctx *ctx;

static hws_str str(const char *text, size_t len) {
  hws_str made;
  made.ptr = text;
  made.len = len;
  return made;
}
#define SAY(text) host->log(ctx, HWS_LOG_INFO, str(text, sizeof(text) - 1), NULL, 0)

static hws_status create(hws_ctx *given, void **self) {
  ctx = given;
  *self = &ctx;
  return HWS_OK;
}

static hws_status configure(void *self, int32_t mode, hws_str json, const hws_sink *why) {
  (void)self, (void)mode, (void)json, (void)why;
  return HWS_OK;
}

static hws_status start(void *self) {
  (void)self;
  if (HWS_HAS(hws_host, host, later)) {
    SAY("this host has later()");
  } else {
    SAY("this host has no later(): it goes without");
  }
  host->health(ctx, HWS_READY, str("", 0));
  return HWS_OK;
}

static void stop(void *self, uint32_t deadline_ms) {
  (void)self, (void)deadline_ms;
  host->health(ctx, HWS_STOPPED, str("", 0));
}

static hws_status later(void *self) {
  (void)self;
  SAY("a host that does not know later() called it");
  return HWS_OK;
}

const hws_plugin *hawser_plugin_v1(const hws_host *from) {
  static const hws_plugin table = {sizeof(hws_plugin), HWS_ABI_MINOR, MINOR_NEEDED, "acme.probe", "1.2.3", create, configure,
                                   start,              stop,          NULL,         NULL,         later};
  host = from;
  return &table;
}

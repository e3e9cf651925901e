/* com.acme.clock in several versions, for the tests of upgrades. It counts its lives, hands the count over to the next
 * version, and says in its log what it got. CLOCK_VERSION is what it calls itself, CLOCK_MOOD how it behaves:
 * 0 well, 1 crashes 300 ms after its start, 2 refuses what was handed over, 3 stalls, 4 fails its start. */
#include <hawser/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const hws_host *host;
static hws_ctx *context;
static unsigned lives;

static hws_str text(const char *chars) {
  hws_str made = {chars, strlen(chars)};
  return made;
}

static void say(const char *what) {
  char line[128];
  snprintf(line, sizeof line, "clock %s %s with %u lives", CLOCK_VERSION, what, lives);
  host->log(context, HWS_LOG_INFO, text(line), NULL, 0);
}

static hws_status create(hws_ctx *made, void **self) {
  context = made;
  *self = made;
  return HWS_OK;
}

static hws_status configure(void *self, int32_t mode, hws_str json, const hws_sink *why) {
  (void)self, (void)mode, (void)json, (void)why;
  return HWS_OK;
}

static void misbehave(void *unused) {
  (void)unused;
  if (CLOCK_MOOD == 1) abort();
  if (CLOCK_MOOD == 3)
    for (;;) {
    }
}

static hws_status start(void *self) {
  (void)self;
  if (CLOCK_MOOD == 4) {
    host->error(context, HWS_E_FAIL, text("this clock has no hands"));
    return HWS_E_FAIL;
  }
  ++lives;
  say("starts");
  if (CLOCK_MOOD) host->timer(context, 300, 0, misbehave, NULL, NULL);
  host->health(context, HWS_READY, text(""));
  return HWS_OK;
}

static void stop(void *self, uint32_t deadline_ms) {
  (void)self, (void)deadline_ms;
  host->health(context, HWS_STOPPED, text(""));
}

static hws_status save(void *self, const hws_sink *out) {
  char count[16];
  int size = snprintf(count, sizeof count, "%u", lives);
  (void)self;
  say("saves");
  return out->write(out->to, count, (size_t)size);
}

static hws_status load(void *self, uint32_t format, hws_str blob) {
  (void)self, (void)format;
  if (CLOCK_MOOD == 2) {
    host->error(context, HWS_E_INVALID, text("these lives are of no use to me"));
    return HWS_E_INVALID;
  }
  lives = 0;
  for (size_t i = 0; i < blob.len; ++i) lives = lives * 10 + (unsigned)(blob.ptr[i] - '0');
  say("loads");
  return HWS_OK;
}

static const hws_plugin_handover handover = {sizeof handover, 1, save, load};

static const void *extension(void *self, const char *id) {
  (void)self;
  return strcmp(id, HWS_EXT_HANDOVER) == 0 ? &handover : NULL;
}

static const hws_plugin table = {sizeof table, 0, 0, "com.acme.clock", CLOCK_VERSION, create, configure,
                                 start, stop, NULL, extension};

HWS_EXPORT const hws_plugin *hawser_plugin_v1(const hws_host *given) {
  host = given;
  return &table;
}

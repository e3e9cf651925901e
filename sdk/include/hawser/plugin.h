/* hawser/plugin.h - the Hawser service-plugin ABI, major 1. C11 and C++11; no other header needed.
 *
 * DRAFT: until the first release of hawser-sdk this header may still change; afterwards these rules hold.
 *
 * R1 Every struct that starts with `size` is versioned: its producer stores its own sizeof; its consumer reads only fields
 *    that lie inside that size (HWS_HAS) and treats others as zero.
 * R2 Fields are appended only. Never inserted, resized, reordered or given a new meaning.
 * R3 Optional surface is reached by an extension id "owner.name/N". A released N is never edited.
 * R4 Ownership: inputs are borrowed for the call; outputs are copied by the receiver or written to an hws_sink. Nothing
 *    allocated on one side is ever freed by the other.
 * R5 No exception, longjmp, signal handler or thread-local destructor crosses the boundary.
 * R6 Every function pointer carries one thread tag.
 *    SVC: the instance's one service thread, never concurrent; a callback returns within its budget (250 ms by default).
 *    ANY: any thread, never blocks.
 *    A SVC function of the host that is called from another thread returns HWS_E_THREAD and does nothing.
 * Text is UTF-8 and, as hws_str, not NUL-terminated. Times are milliseconds, sizes bytes. */
#ifndef HAWSER_PLUGIN_H
#define HAWSER_PLUGIN_H
#include <stddef.h>
#include <stdint.h>

#define HWS_ABI_MAJOR 1u /* part of the entry symbol's name: majors can live side by side */
#define HWS_ABI_MINOR 0u /* +1 for each append or new extension */

#if defined(__GNUC__)
#define HWS_EXPORT __attribute__((visibility("default")))
#else
#define HWS_EXPORT
#endif
#if defined(__clang__)
#define HWS_TAG_(t) __attribute__((annotate("hws:" t))) /* for tools that read this header */
#else
#define HWS_TAG_(t)
#endif
#define HWS_SVC HWS_TAG_("svc")
#define HWS_ANY HWS_TAG_("any")
#define HWS_HAS(T, p, f) ((p) && (p)->size >= offsetof(T, f) + sizeof((p)->f) && (p)->f)

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t hws_status;
enum {
  HWS_OK = 0,
  HWS_RESTART_NEEDED = 1, /* configure only: valid, but needs a new instance */
  HWS_PENDING = 2,        /* durable() only: settle() will follow */
  HWS_E_FAIL = -1,
  HWS_E_INVALID = -2,     /* can never be accepted as it is */
  HWS_E_UNSUPPORTED = -3,
  HWS_E_DENIED = -4,      /* the site does not allow it; the log says which rule */
  HWS_E_AGAIN = -5,       /* back-pressure: wait for writable() */
  HWS_E_CLOSED = -6,
  HWS_E_NOMEM = -7,
  HWS_E_TIMEOUT = -8,
  HWS_E_THREAD = -9       /* called on the wrong thread */
};
enum { HWS_LOG_DEBUG, HWS_LOG_INFO, HWS_LOG_WARN, HWS_LOG_ERROR, HWS_LOG_MISBEHAVING };
enum { HWS_READY = 1, HWS_DEGRADED, HWS_STOPPED, HWS_FAULTED };
enum { HWS_CONFIG_CHECK = 0, HWS_CONFIG_APPLY = 1 };
enum { HWS_COMPRESS = 1u }; /* send flags: one zstd frame, where that makes the payload smaller */
enum { HWS_DROP_OLDEST = 1u }; /* subconnection flags: a full spool drops its oldest messages instead of saying E_AGAIN */

typedef struct hws_ctx hws_ctx;         /* the host's handle for one plugin instance */
typedef struct hws_subconn hws_subconn; /* the host's handle for one subconnection */

/* The three by-value types are frozen for the life of major 1. */
typedef struct hws_str {
  const char *ptr;
  size_t len;
} hws_str;
typedef struct hws_kv {
  hws_str key, value;
} hws_kv;
typedef struct hws_sink {
  void *to;
  hws_status (*write)(void *to, const void *data, size_t len);
} hws_sink;

/* ---- what the plugin gives: one static, immutable table -------------------------------------------------------- */
typedef struct hws_plugin {
  uint32_t size;
  uint16_t abi_minor, abi_minor_needed; /* built against / least host minor it can run on */
  const char *id, *version;             /* must equal the manifest's */
  hws_status (*create)(hws_ctx *ctx, void **self) HWS_SVC;
  /* `json`: the operator's [config] table of plugins.d/<id>.toml as one JSON object; "{}" when there is none.
   * CHECK must have no side effect. On refusal return HWS_E_INVALID and write one sentence for the operator to `why`.
   * Called with APPLY once before start(), and again while running whenever the operator changed it. */
  hws_status (*configure)(void *self, int32_t mode, hws_str json, const hws_sink *why) HWS_SVC;
  hws_status (*start)(void *self) HWS_SVC;
  /* Stop making work, hand over what is left, then report health(HWS_STOPPED). The host exits then, or at the deadline. */
  void (*stop)(void *self, uint32_t deadline_ms) HWS_SVC;
  void (*destroy)(void *self) HWS_SVC; /* optional in practice: the host may just exit */
  const void *(*extension)(void *self, const char *id) HWS_SVC; /* NULL: not supported */
} hws_plugin;

/* ---- what the host gives; valid until destroy() has returned --------------------------------------------------- */
typedef struct hws_host {
  uint32_t size;
  uint16_t abi_major, abi_minor;
  const char *name, *version;
  void (*log)(hws_ctx *, int32_t level, hws_str msg, const hws_kv *kv, size_t nkv) HWS_ANY;
  void (*error)(hws_ctx *, hws_status code, hws_str detail) HWS_ANY; /* explains the status that is returned next */
  void (*health)(hws_ctx *, int32_t state, hws_str detail) HWS_ANY;
  hws_status (*post)(hws_ctx *, void (*fn)(void *), void *arg) HWS_ANY; /* runs fn on the service thread; E_AGAIN: full */
  /* period_ms 0: once. `id` may be NULL. */
  hws_status (*timer)(hws_ctx *, uint64_t after_ms, uint64_t period_ms, void (*fn)(void *), void *arg,
                      uint64_t *id) HWS_SVC;
  hws_status (*timer_cancel)(hws_ctx *, uint64_t id) HWS_SVC;
  const void *(*extension)(hws_ctx *, const char *id) HWS_ANY; /* NULL: this host does not have it */
  /* One fact about the device or the instance, written to `out`; E_UNSUPPORTED for a key that this host does not know:
   * "device.serial", "device.hostname", "device.site", "agent.version", "plugin.state_dir" (a folder for this plugin
   * alone, mode 0700, kept over restarts and upgrades), "plugin.digest". */
  hws_status (*info)(hws_ctx *, hws_str key, const hws_sink *out) HWS_ANY;
  /* Calls fn while fd is readable. The plugin keeps the descriptor, and unwatches before it closes it. */
  hws_status (*watch)(hws_ctx *, int32_t fd, void (*fn)(void *), void *arg) HWS_SVC;
  hws_status (*unwatch)(hws_ctx *, int32_t fd) HWS_SVC;
} hws_host;

/* The one exported symbol. It does nothing but compare versions and return its table. NULL: the host is refused. */
typedef const hws_plugin *(*hws_entry_fn)(const hws_host *host);
#define HWS_ENTRY_SYMBOL "hawser_plugin_v1"
HWS_EXPORT const hws_plugin *hawser_plugin_v1(const hws_host *host);

/* ---- host extension: subconnections. The bytes never pass through the core daemon. ------------------------------ */
#define HWS_EXT_SUBCONN "hws.subconn/1"
typedef struct hws_subconn_params {
  uint32_t size, flags;
  const char *service, *protocol; /* service: one of the manifest's */
  uint32_t outbox_bytes;          /* durable messages on their way into the spool, in memory; 0: 8 MiB */
  uint32_t queue_bytes;           /* best-effort messages that wait for the socket; 0: 1 MiB */
} hws_subconn_params;
typedef struct hws_subconn_events { /* copied at open(); any member may be NULL */
  uint32_t size;
  /* `about`: {"protocol","max_message_bytes","url"} of the grant in use. */
  void (*opened)(void *user, hws_subconn *, hws_str about) HWS_SVC;
  /* A text message that is not the host's own; best effort. */
  void (*text)(void *user, hws_subconn *, hws_str json) HWS_SVC;
  /* A best-effort binary message (kind and number already taken off, decompressed). */
  void (*message)(void *user, hws_subconn *, const void *data, size_t len) HWS_SVC;
  /* A durable message from the cloud. OK: taken, its effect or the message itself is on stable storage; it is acknowledged and never
   * comes again. E_INVALID: refused for good, answered with nack and the words in `why`. PENDING: settle() will follow, and
   * the next one waits for that. Anything else: it comes again after the next connect. After a crash between taking
   * and acknowledging it comes again with the same stream and number. */
  hws_status (*durable)(void *user, hws_subconn *, hws_str stream, uint64_t seq, const void *data, size_t len,
                        const hws_sink *why) HWS_SVC;
  /* Every number up to `seq` is on the cloud's stable storage (or was refused, see nacked). What send_source() noted of
   * them is kept until this has returned. */
  void (*acked)(void *user, hws_subconn *, uint64_t seq) HWS_SVC;
  void (*nacked)(void *user, hws_subconn *, uint64_t seq, hws_str code, hws_str message) HWS_SVC;
  void (*writable)(void *user, hws_subconn *) HWS_SVC; /* after an E_AGAIN: there is room again */
  /* The host dials again by itself after retry_ms; the handle stays good, durable messages stay queued. */
  void (*closed)(void *user, hws_subconn *, hws_str reason, hws_str detail, uint32_t retry_ms) HWS_SVC;
  /* Every number up to `seq` is accepted: in the spool, on stable storage. It will reach the cloud once, whatever dies. */
  void (*accepted)(void *user, hws_subconn *, uint64_t seq) HWS_SVC;
  /* Source-backed: write again to `out` the bytes that were handed over with send_source() under this number; `source` is
   * what was noted then. Anything but OK, other bytes, or no answer in time: the message is given up, counted, reported
   * and told to nacked() with the code `expired`. */
  hws_status (*source)(void *user, hws_subconn *, uint64_t seq, hws_str source, const hws_sink *out) HWS_SVC;
  /* After open(), before any other event: once for each message of send_source() that earlier instances handed over and
   * whose acked() did not return yet, in order. With its own file of positions, written in acked() or later, a plugin
   * knows from these where to go on: nothing is between the two. */
  void (*found)(void *user, hws_subconn *, uint64_t seq, hws_str source) HWS_SVC;
  /* Once, after those: the next message gets the number `next_seq`, everything below it was accepted. Who notes on disk
   * "this will be number N" before sending it knows now whether it was. */
  void (*resumed)(void *user, hws_subconn *, uint64_t next_seq) HWS_SVC;
} hws_subconn_events;
typedef struct hws_host_subconn {
  uint32_t size;
  hws_status (*open)(hws_ctx *, const hws_subconn_params *, const hws_subconn_events *, void *user,
                     hws_subconn **out) HWS_SVC;
  /* Durable: kept in order until acknowledged, over reconnects and restarts; `seq` gets its number before the call returns
   * (may be NULL). Numbers rise by one for the life of the spool, over restarts and upgrades. The message is in memory
   * when the call returns and on disk when accepted() names its number: whoever has the data nowhere else waits for that.
   * E_AGAIN: outbox or spool are full, or resumed() has not come yet. E_INVALID: longer than the grant allows. Copies. */
  hws_status (*send_durable)(hws_subconn *, const void *data, size_t len, uint32_t flags, uint64_t *seq) HWS_ANY;
  /* Best effort: sent if it fits and the connection is up (else E_AGAIN or E_CLOSED). Copies. */
  hws_status (*send)(hws_subconn *, const void *data, size_t len, uint32_t flags) HWS_ANY;
  hws_status (*send_text)(hws_subconn *, hws_str json) HWS_ANY;
  /* Ends a PENDING durable message: OK or E_INVALID with a sentence in `why`. */
  hws_status (*settle)(hws_subconn *, uint64_t seq, hws_status verdict, hws_str why) HWS_SVC;
  /* Durable, with the plugin's own file as the spool: only `source` (at most 4 KiB, what the plugin needs to find the bytes
   * again), length and checksum are written to disk, before the message is sent. A resend asks source() for the bytes and
   * carries the same ones. Needs events.source (else E_UNSUPPORTED). E_INVALID also for a longer `source`. Otherwise as
   * send_durable. */
  hws_status (*send_source)(hws_subconn *, hws_str source, const void *data, size_t len, uint32_t flags,
                            uint64_t *seq) HWS_ANY;
} hws_host_subconn;

/* ---- host extension: actions, command lines that the operator defined for this plugin ---------------------------- */
#define HWS_EXT_ACTION "hws.action/1"
typedef struct hws_host_action {
  uint32_t size;
  /* Runs [actions.<name>] of plugins.d/<id>.toml in the core. E_DENIED: no such action. `done` comes exactly once:
   * exit_code >= 0: it ended by itself; -N: by signal N; INT32_MIN: it did not start or was ended at its time limit
   * (`reason` says which). `output`: standard output and error together, at most 64 KiB. */
  hws_status (*run)(hws_ctx *, hws_str name,
                    void (*done)(void *user, int32_t exit_code, hws_str output, hws_str reason), void *user) HWS_SVC;
} hws_host_action;

/* ---- host extension: is the cloud reached? ----------------------------------------------------------------------- */
#define HWS_EXT_CLOUD "hws.cloud/1"
typedef struct hws_host_cloud {
  uint32_t size;
  /* Asks the core for a sign of life from the cloud, sent for after this call: an extra keepalive that is answered, or a 401, 429 or
   * 503. `done` comes exactly once: OK, or E_TIMEOUT after timeout_ms (at most 1 h). */
  hws_status (*reached)(hws_ctx *, uint32_t timeout_ms, void (*done)(void *user, hws_status, hws_str how),
                        void *user) HWS_SVC;
} hws_host_cloud;

#ifdef __cplusplus
}
#endif
#endif

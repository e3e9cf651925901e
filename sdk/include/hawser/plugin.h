/* hawser/plugin.h - the Hawser service-plugin ABI, version 1.0. C11 and C++11; no other header needed.
 *
 * What is here holds for the life of major 1; ABI.md of the SDK says how it may grow. The rules:
 *
 * R1 Every struct that starts with `size` is versioned: its producer stores its own sizeof; its consumer reads only fields
 *    that lie inside that size (HWS_HAS) and treats others as zero.
 * R2 Fields are appended only. Never inserted, resized, reordered, removed or given a new meaning.
 * R3 Optional surface is reached by an extension id "owner.name/N". A released N is never edited, but for what R2 allows.
 * R4 Ownership: inputs are borrowed for the call; outputs are copied by the receiver or written to an hws_sink. Nothing
 *    allocated on one side is ever freed by the other. Tables and their texts are static: they live as long as the process.
 * R5 No exception, longjmp, signal handler or thread-local destructor crosses the boundary.
 * R6 Every function pointer of a table carries one thread tag.
 *    SVC: the instance's one service thread, never concurrent; a callback returns within its budget (250 ms by default).
 *    ANY: any thread, never blocks.
 *    A SVC function of the host that is called from another thread returns HWS_E_THREAD and does nothing.
 *    A function that is handed over as an argument (fn, done) is called on the service thread. hws_sink.write is called
 *    by the function that got the sink, before that returns, on its thread.
 *
 * A plugin may have threads of its own, up to its limit; they may call what is tagged ANY.
 * Text is UTF-8 and, as hws_str, not NUL-terminated; `const char *` is NUL-terminated. Times are milliseconds, sizes bytes.
 * Every function that returns hws_status may also answer HWS_E_NOMEM, when the host got no memory, and HWS_E_FAIL, when
 * something went wrong that the log names; HWS_E_INVALID means an argument against what is said here, NULL where
 * something is due for one. Those three are not said again at each. */
#ifndef HAWSER_PLUGIN_H
#define HAWSER_PLUGIN_H
/* clang-format off */
#include <stddef.h>
#include <stdint.h>

#define HWS_ABI_MAJOR 1u /* part of the entry symbol's name: majors can live side by side */
#define HWS_ABI_MINOR 0u /* +1 for each release that appends something or has a new extension */

#if defined(__GNUC__)
#define HWS_EXPORT __attribute__((visibility("default")))
#else
#define HWS_EXPORT
#endif
#if defined(HWS_TAG_) /* a tool that reads this header has its own */
#elif defined(__clang__)
#define HWS_TAG_(t) __attribute__((annotate("hws:" t)))
#else
#define HWS_TAG_(t)
#endif
#define HWS_SVC HWS_TAG_("svc")
#define HWS_ANY HWS_TAG_("any")
/* Whether the table `p` of type T is there and has the function `f`: for what was appended after the minor that you need. */
#define HWS_HAS(T, p, f) ((p) && (p)->size >= offsetof(T, f) + sizeof((p)->f) && (p)->f)

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t hws_status; /* negative: it was not done */
enum {
  HWS_OK = 0,
  HWS_RESTART_NEEDED = 1, /* configure only: valid, but needs a new instance */
  HWS_PENDING = 2,        /* durable() only: settle() will follow */
  HWS_E_FAIL = -1,
  HWS_E_INVALID = -2,     /* can never be accepted as it is */
  HWS_E_UNSUPPORTED = -3,
  HWS_E_DENIED = -4,      /* the site does not allow it; the log says which rule */
  HWS_E_AGAIN = -5,       /* full for now: wait for writable(), or for what is under way to end */
  HWS_E_CLOSED = -6,
  HWS_E_NOMEM = -7,       /* no memory, or a limit on what is kept */
  HWS_E_TIMEOUT = -8,
  HWS_E_THREAD = -9,      /* called on the wrong thread */
  HWS_E_NOT_FOUND = -10
};
enum { HWS_LOG_DEBUG, HWS_LOG_INFO, HWS_LOG_WARN, HWS_LOG_ERROR, HWS_LOG_MISBEHAVING };
enum { HWS_READY = 1, HWS_DEGRADED, HWS_STOPPED, HWS_FAULTED };
enum { HWS_CONFIG_CHECK = 0, HWS_CONFIG_APPLY = 1 };
enum { HWS_GAUGE = 0, HWS_COUNTER = 1 };
enum { HWS_COMPRESS = 1u }; /* send flags: one zstd frame, where that makes the payload smaller */
enum { HWS_DROP_OLDEST = 1u }; /* subconnection flags: a full spool drops its oldest messages instead of saying E_AGAIN */

typedef struct hws_ctx hws_ctx;         /* the host's handle for one plugin instance; good until destroy() has returned */
typedef struct hws_subconn hws_subconn; /* the host's handle for one subconnection; good as long */

/* The three by-value types are frozen for the life of major 1. */
typedef struct hws_str { /* {NULL, 0} is the empty text */
  const char *ptr;
  size_t len; /* bytes */
} hws_str;
typedef struct hws_kv {
  hws_str key, value;
} hws_kv;
typedef struct hws_sink { /* borrowed: not to be kept after the call that it came with */
  void *to;
  /* Takes a copy. May be called several times: the parts are joined. E_INVALID: more than the receiver takes. */
  hws_status (*write)(void *to, const void *data, size_t len);
} hws_sink;

/* ---- what the plugin gives: one static, immutable table -------------------------------------------------------- */
typedef struct hws_plugin {
  uint32_t size;
  uint16_t abi_minor, abi_minor_needed; /* built against / least host minor it can run on */
  const char *id, *version;             /* must equal the manifest's */
  /* Makes the instance, once; `ctx` is for all calls to the host, `self` comes back with all calls to the plugin. Anything
   * but OK: the instance is refused, with the words of host->error(). */
  hws_status (*create)(hws_ctx *ctx, void **self) HWS_SVC;
  /* `json`: the operator's [config] table of plugins.d/<id>.toml as one JSON object; "{}" when there is none.
   * CHECK must have no side effect. On refusal return HWS_E_INVALID and write one sentence for the operator to `why` (at
   * most 1 KiB). Called with CHECK and APPLY once before start(), and again while running whenever the operator changed
   * it. RESTART_NEEDED: good, but only for a new instance, which the host then starts. */
  hws_status (*configure)(void *self, int32_t mode, hws_str json, const hws_sink *why) HWS_SVC;
  /* Begins the work. Anything but OK: the instance ends, with the words of host->error(), and is started again later. */
  hws_status (*start)(void *self) HWS_SVC;
  /* Stop making work, hand over what is left, then report health(HWS_STOPPED). The host ends then, or after deadline_ms. */
  void (*stop)(void *self, uint32_t deadline_ms) HWS_SVC;
  /* Frees `self`; the last call. May be NULL, and need not come: the host may just exit. */
  void (*destroy)(void *self) HWS_SVC;
  /* The table of an extension of the plugin, static. NULL: not supported. Called after create(). */
  const void *(*extension)(void *self, const char *id) HWS_SVC;
} hws_plugin;

/* ---- what the host gives; valid until destroy() has returned --------------------------------------------------- */
typedef struct hws_host {
  uint32_t size;
  uint16_t abi_major, abi_minor;
  const char *name, *version; /* of the host, for people */
  /* One structured line: `msg` (at most 4 KiB) and nkv pairs (the first 16; values of at most 256 bytes). More is cut.
   * `kv` may be NULL. No secrets. HWS_LOG_MISBEHAVING: for a host or a peer that breaks a rule. */
  void (*log)(hws_ctx *, int32_t level, hws_str msg, const hws_kv *kv, size_t nkv) HWS_ANY;
  /* Explains the status that is returned next: one sentence for the operator, at most 512 bytes. */
  void (*error)(hws_ctx *, hws_status code, hws_str detail) HWS_ANY;
  /* HWS_READY once the plugin does its work, HWS_DEGRADED while it does part of it, HWS_STOPPED at the end of stop(),
   * HWS_FAULTED when it cannot go on: a new instance is started. `detail`: one sentence, at most 1 KiB. */
  void (*health)(hws_ctx *, int32_t state, hws_str detail) HWS_ANY;
  /* Runs fn(arg) on the service thread, after what runs now. E_AGAIN: 4096 wait. `arg` stays the plugin's. */
  hws_status (*post)(hws_ctx *, void (*fn)(void *), void *arg) HWS_ANY;
  /* Runs fn(arg) after_ms from now and then every period_ms; 0: once. At most a year each. `id`, which may be NULL, gets a
   * number that is never used again, for timer_cancel(). E_AGAIN: 1024 are there. `arg` stays the plugin's. */
  hws_status (*timer)(hws_ctx *, uint64_t after_ms, uint64_t period_ms, void (*fn)(void *), void *arg,
                      uint64_t *id) HWS_SVC;
  /* fn is not called any more. E_INVALID: no such timer, or it was one that ran. */
  hws_status (*timer_cancel)(hws_ctx *, uint64_t id) HWS_SVC;
  /* The table of an extension of the host, static. NULL: this host does not have it. */
  const void *(*extension)(hws_ctx *, const char *id) HWS_ANY;
  /* One fact about the device or the instance, written to `out`; E_UNSUPPORTED for a key that this host does not know:
   * "device.serial", "device.hostname", "device.site", "agent.version", "plugin.state_dir" (a folder for this plugin
   * alone, mode 0700, kept over restarts and upgrades; names that begin with ".hawser" are the host's), "plugin.digest". */
  hws_status (*info)(hws_ctx *, hws_str key, const hws_sink *out) HWS_ANY;
  /* Calls fn(arg) while fd is readable, or at its end; replaces an earlier watch of fd. The plugin keeps the descriptor, and
   * unwatches before it closes it. E_AGAIN: 48 are watched. */
  hws_status (*watch)(hws_ctx *, int32_t fd, void (*fn)(void *), void *arg) HWS_SVC;
  /* fn is not called any more. E_INVALID: fd is not watched. */
  hws_status (*unwatch)(hws_ctx *, int32_t fd) HWS_SVC;
} hws_host;

/* The one exported symbol. It does nothing but compare versions and return its table. NULL: the host is refused. */
typedef const hws_plugin *(*hws_entry_fn)(const hws_host *host);
#define HWS_ENTRY_SYMBOL "hawser_plugin_v1"
HWS_EXPORT const hws_plugin *hawser_plugin_v1(const hws_host *host);

/* ---- host extension: subconnections. The bytes never pass through the core daemon. ------------------------------ */
#define HWS_EXT_SUBCONN "hws.subconn/1"
typedef struct hws_subconn_params { /* copied at open() */
  uint32_t size, flags;
  const char *service, *protocol; /* service: one of the manifest's */
  uint32_t outbox_bytes;          /* durable messages on their way into the spool, in memory; 0: 8 MiB */
  uint32_t queue_bytes;           /* best-effort messages that wait for the socket; 0: 1 MiB */
} hws_subconn_params;
typedef struct hws_subconn_events { /* copied at open(); any member may be NULL. `user` is what open() got. */
  uint32_t size;
  /* `about`: {"protocol","max_message_bytes","url"} of the grant in use. */
  void (*opened)(void *user, hws_subconn *, hws_str about) HWS_SVC;
  /* A text message that is not the host's own; best effort. */
  void (*text)(void *user, hws_subconn *, hws_str json) HWS_SVC;
  /* A best-effort binary message (kind and number already taken off, decompressed). */
  void (*message)(void *user, hws_subconn *, const void *data, size_t len) HWS_SVC;
  /* A durable message from the cloud. OK: taken, its effect or the message itself is on stable storage; it is acknowledged
   * and never comes again. E_INVALID: refused for good, answered with nack and the words in `why` (at most 1 KiB).
   * PENDING: settle() will follow, and the next one waits for that. Anything else: it comes again after the next connect.
   * After a crash between taking and acknowledging it comes again with the same stream and number. */
  hws_status (*durable)(void *user, hws_subconn *, hws_str stream, uint64_t seq, const void *data, size_t len,
                        const hws_sink *why) HWS_SVC;
  /* Every number up to `seq` is on the cloud's stable storage (or was refused, see nacked). What send_source() noted of
   * them is kept until this has returned. */
  void (*acked)(void *user, hws_subconn *, uint64_t seq) HWS_SVC;
  /* The message `seq` alone was refused, or given up; `code` is a reason of protocol.md §7. */
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
  /* Once for each service, for the life of the instance: the host dials, waits and dials again by itself. `out` gets the
   * handle. E_DENIED: the manifest does not name the service. E_INVALID also when it is open already. */
  hws_status (*open)(hws_ctx *, const hws_subconn_params *, const hws_subconn_events *, void *user,
                     hws_subconn **out) HWS_SVC;
  /* Durable: kept in order until acknowledged, over reconnects and restarts; `seq` gets its number before the call returns
   * (may be NULL). Numbers rise by one for the life of the spool, over restarts and upgrades. The message is in memory
   * when the call returns and on disk when accepted() names its number: whoever has the data nowhere else waits for that.
   * E_AGAIN: outbox or spool are full, or resumed() has not come yet. E_INVALID: longer than the grant allows. Copies. */
  hws_status (*send_durable)(hws_subconn *, const void *data, size_t len, uint32_t flags, uint64_t *seq) HWS_ANY;
  /* Best effort: sent if it fits and the connection is up (else E_AGAIN or E_CLOSED). Copies. */
  hws_status (*send)(hws_subconn *, const void *data, size_t len, uint32_t flags) HWS_ANY;
  /* The same for a text message, one JSON object. Copies. */
  hws_status (*send_text)(hws_subconn *, hws_str json) HWS_ANY;
  /* Ends a PENDING durable message: OK, E_INVALID with a sentence in `why`, or E_AGAIN: it is to come again. */
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
  /* Runs [actions.<name>] of plugins.d/<id>.toml in the core. E_DENIED: no such action. E_AGAIN: 16 run. `done` comes
   * exactly once, unless the call failed: exit_code >= 0: it ended by itself; -N: by signal N; INT32_MIN: it did not start
   * or was ended at its time limit (`reason` says which). `output`: standard output and error together, at most 64 KiB. */
  hws_status (*run)(hws_ctx *, hws_str name,
                    void (*done)(void *user, int32_t exit_code, hws_str output, hws_str reason), void *user) HWS_SVC;
} hws_host_action;

/* ---- host extension: is the cloud reached? ----------------------------------------------------------------------- */
#define HWS_EXT_CLOUD "hws.cloud/1"
typedef struct hws_host_cloud {
  uint32_t size;
  /* Asks the core for a sign of life from the cloud, sent for after this call: an extra keepalive that is answered, or a
   * 401, 429 or 503. `done` comes exactly once, unless the call failed: OK, or E_TIMEOUT after timeout_ms (at most 1 h);
   * `how` names the sign. E_AGAIN: 64 questions wait. */
  hws_status (*reached)(hws_ctx *, uint32_t timeout_ms, void (*done)(void *user, hws_status, hws_str how),
                        void *user) HWS_SVC;
} hws_host_cloud;

/* ---- host extension: private state, a few small values that survive restarts, upgrades and power cuts ------------- */
#define HWS_EXT_STATE "hws.state/1"
typedef struct hws_host_state {
  uint32_t size;
  /* Writes the value of `key` (1 to 128 bytes, any) to `out`. E_NOT_FOUND: there is none. Never waits for the disk. */
  hws_status (*get)(hws_ctx *, hws_str key, const hws_sink *out) HWS_SVC;
  /* Calls fn for every key that begins with `prefix`, in the order of their bytes, until it answers anything but OK, which
   * is returned then. Both texts are borrowed for that call. */
  hws_status (*each)(hws_ctx *, hws_str prefix, hws_status (*fn)(void *user, hws_str key, hws_str value),
                     void *user) HWS_SVC;
  /* Sets the values of n keys, all of them or none, also through a power cut. change() removes keys. get() sees the changes
   * at once; they are on stable storage when `done`, which may be NULL, comes with OK: exactly once, unless the call
   * failed, and in the order of the calls. `done` with E_FAIL: they could not be written, the log says why. Then neither
   * they nor the puts that were waiting with them have happened, and get() tells the old values again.
   * E_INVALID: a key of another length, one that is there twice, or a value of more than 64 KiB. E_NOMEM: the state would
   * have more than 1024 keys or 256 KiB, keys counted. E_AGAIN: 256 puts wait for the disk. Copies. */
  hws_status (*put)(hws_ctx *, const hws_kv *changes, size_t n, void (*done)(void *user, hws_status), void *user) HWS_SVC;
  /* The same, and removes nremoved keys: all of it or none. Either number may be 0. A key to remove that is not there is no
   * fault; one that is among the changes, too, is E_INVALID. */
  hws_status (*change)(hws_ctx *, const hws_kv *changes, size_t n, const hws_str *removed, size_t nremoved,
                       void (*done)(void *user, hws_status), void *user) HWS_SVC;
} hws_host_state;

/* ---- host extension: the plugin's own figures, shown beside its state on the device ------------------------------- */
#define HWS_EXT_METRICS "hws.metrics/1"
typedef struct hws_host_metrics {
  uint32_t size;
  /* The present value of one figure. `kind`: HWS_GAUGE goes up and down, HWS_COUNTER only rises, from 0 at the start of the
   * instance. `name`: lower-case words with points between, as in "orders.waiting" (1 to 64 bytes of a-z 0-9 _ .); `unit`:
   * UCUM, as in "By", "ms", "{order}" (at most 16 bytes; may be empty); nkv attributes (at most 4; keys like names, of at
   * most 32 bytes, values of at most 64) tell several of one name apart, in any order. Only the newest value counts; it
   * is passed on every few seconds. E_NOMEM: 64 others are there. E_INVALID also for what is no finite number, and for a
   * counter below 0. Copies. */
  hws_status (*set)(hws_ctx *, int32_t kind, hws_str name, hws_str unit, double value, const hws_kv *attributes,
                    size_t nkv) HWS_ANY;
} hws_host_metrics;

/* ---- plugin extension: what one version hands over to the next in an upgrade -------------------------------------- */
#define HWS_EXT_HANDOVER "hws.handover/1"
typedef struct hws_plugin_handover {
  uint32_t size;
  uint32_t format; /* the plugin's own number for what save() writes */
  /* Writes what the next version shall know (at most 1 MiB). Only in an upgrade, and never for an older version: after
   * stop(), as soon as the plugin reports HWS_STOPPED or most of its time is over. Anything but OK: nothing is handed over,
   * and the upgrade goes on. */
  hws_status (*save)(void *self, const hws_sink *out) HWS_SVC;
  /* After create() and before configure(), where something was saved; `format` is the saver's. Once for each version that
   * takes over: when its start() has returned OK it does not come again, so keep what later starts need. When an upgrade is
   * taken back, the old version gets what it saved itself, and its private state as it had left it. Anything but OK: the
   * instance is refused, with the words of host->error(), and the old version is put back. */
  hws_status (*load)(void *self, uint32_t format, hws_str blob) HWS_SVC;
} hws_plugin_handover;

#ifdef __cplusplus
}
#endif
#endif

// A plugin that misbehaves in the one way that its [config] names: do = "spin". It does so `after_ms` (200) after its
// start, in a timer's callback, so that it was a good plugin before; some do it elsewhere, as the table says.
#include "rogue.hpp"

#include <cerrno>
#include <cstring>

namespace rogue {

namespace {

enum class When { Configure, Start, Timer, Stop, Destroy };

struct Row {
  std::string_view name;
  When when;
  Misdeed act;
};

// clang-format off
constexpr Row kTable[] = {
    {"nothing",          When::Timer,     nothing},
    {"spin",             When::Timer,     spin},
    {"sleep",            When::Timer,     sleep_forever},
    {"deadlock",         When::Timer,     deadlock},
    {"deaf",             When::Timer,     deaf},
    {"stop_itself",      When::Timer,     stop_itself},
    {"spin_in_configure", When::Configure, spin},
    {"sleep_in_start",   When::Start,     sleep_forever},
    {"ignore_stop",      When::Stop,      nothing},
    {"sleep_in_stop",    When::Stop,      sleep_forever},
    {"sleep_in_destroy", When::Destroy,   sleep_forever},

    {"segfault",         When::Timer,     segfault},
    {"abort",            When::Timer,     abort_it},
    {"throw",            When::Timer,     throw_it},
    {"throw_in_start",   When::Start,     throw_it},
    {"exit",             When::Timer,     exit_0},
    {"exit_mid_message", When::Timer,     exit_mid_message},
    {"overflow",         When::Timer,     overflow},
    {"illegal",          When::Timer,     illegal},
    {"terminate_thread", When::Timer,     terminate_thread},

    {"leak",             When::Timer,     leak},
    {"gulp",             When::Timer,     gulp},
    {"forks",            When::Timer,     forks},
    {"descriptors",      When::Timer,     descriptors},
    {"threads",          When::Timer,     threads},
    {"busy_threads",     When::Timer,     busy_threads},
    {"fill_state",       When::Timer,     fill_state},
    {"many_files",       When::Timer,     many_files},

    {"log_flood",        When::Timer,     log_flood},
    {"print_flood",      When::Timer,     print_flood},
    {"control_flood",    When::Timer,     control_flood},
    {"cloud_flood",      When::Timer,     cloud_flood},
    {"channel_garbage",  When::Timer,     channel_garbage},

    {"close_all",        When::Timer,     close_all},
    {"kill_parent",      When::Timer,     kill_parent},
    {"kill_group",       When::Timer,     kill_group},
    {"kill_all",         When::Timer,     kill_all},
    {"flight_page",      When::Timer,     flight_page},
    {"raise_limits",     When::Timer,     raise_limits},
    {"read_secrets",     When::Timer,     read_secrets},
    {"run_programs",     When::Timer,     run_programs},
    {"trace_others",     When::Timer,     trace_others},
    {"take_the_core",    When::Timer,     take_the_core},

    {"wrong_thread",     When::Timer,     wrong_thread},
    {"after_destroy",    When::Destroy,   after_destroy},
    {"nulls",            When::Timer,     nulls},
};
// clang-format on

const hws_host* the_host = nullptr;

const Row* chosen(const Rogue& self) {
  const std::string wanted = self.config.value("do", "nothing");
  for (const Row& row : kTable)
    if (row.name == wanted) return &row;
  return nullptr;
}

void act(Rogue& self, When when) {
  const Row* row = chosen(self);
  if (row && row->when == when) row->act(self);
}

hws_status create(hws_ctx* ctx, void** self) {
  *self = new Rogue{ctx, the_host, nlohmann::json::object()};
  return HWS_OK;
}

hws_status configure(void* self, std::int32_t mode, hws_str json, const hws_sink* why) {
  Rogue& rogue = *static_cast<Rogue*>(self);
  rogue.config = nlohmann::json::parse(std::string(json.ptr, json.len), nullptr, false);
  if (!rogue.config.is_object() || !chosen(rogue)) {
    constexpr std::string_view kWords = "do names no misdeed of rogue.cpp";
    why->write(why->to, kWords.data(), kWords.size());
    return HWS_E_INVALID;
  }
  if (mode == HWS_CONFIG_CHECK) return HWS_OK;
  act(rogue, When::Configure);
  return HWS_RESTART_NEEDED;
}

hws_status start(void* self) {
  Rogue& rogue = *static_cast<Rogue*>(self);
  act(rogue, When::Start);
  the_host->health(rogue.ctx, HWS_READY, str(""));
  const auto after_ms = rogue.config.value("after_ms", std::uint64_t{200});
  return the_host->timer(
      rogue.ctx, after_ms, 0, [](void* arg) { act(*static_cast<Rogue*>(arg), When::Timer); }, self, nullptr);
}

void stop(void* self, std::uint32_t) {
  Rogue& rogue = *static_cast<Rogue*>(self);
  act(rogue, When::Stop);
  const Row* row = chosen(rogue);
  if (row && row->when != When::Stop) the_host->health(rogue.ctx, HWS_STOPPED, str(""));
}

void destroy(void* self) { act(*static_cast<Rogue*>(self), When::Destroy); }

const void* extension(void*, const char*) { return nullptr; }

}  // namespace

std::string Rogue::state_dir() const {
  std::string folder;
  const hws_sink sink = {&folder, [](void* to, const void* data, size_t len) -> hws_status {
                           static_cast<std::string*>(to)->append(static_cast<const char*>(data), len);
                           return HWS_OK;
                         }};
  host->info(ctx, str("plugin.state_dir"), &sink);
  return folder;
}

void Rogue::say(const std::string& words) const { host->log(ctx, HWS_LOG_WARN, str(words), nullptr, 0); }

void Rogue::tried(const std::string& what, int error) const {
  const char* name = error ? ::strerrorname_np(error) : nullptr;
  say("tried " + what + ": " + (error ? std::string("denied (") + (name ? name : "?") + ")" : "done"));
}

const hws_plugin* table(const hws_host* host, const char* id, const char* version) {
  the_host = host;
  static const hws_plugin plugin = {sizeof(hws_plugin), HWS_ABI_MINOR, 0,    id,   version, create,
                                    configure,          start,         stop, destroy, extension};
  return &plugin;
}

}  // namespace rogue

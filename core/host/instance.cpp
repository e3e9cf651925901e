#include "core/host/instance.hpp"

#include <new>
#include <system_error>

#include "core/base/encoding.hpp"
#include "core/control/channel.hpp"
#include "core/host/content_sink.hpp"
#include "core/host/handover.hpp"
#include "core/host/host_functions.hpp"
#include "core/host/plugin_library.hpp"
#include "core/host/text_sink.hpp"

// The life of the plugin: load, create, configure, start, stop.
namespace hawser::host {
namespace {

constexpr std::size_t kWhyBytesMax = 1024;
constexpr const char* kStateFile = ".hawser-state";

}  // namespace

Instance::Instance(Setup setup, CoreLink& link, Switchboard& switchboard, CallbackWatch& callbacks,
                   GatewayMaker gateway, std::function<void(int)> end)
    : setup_(std::move(setup)),
      link_(link),
      switchboard_(switchboard),
      callbacks_(callbacks),
      gateway_(std::move(gateway)),
      end_(std::move(end)),
      host_(host_functions()),
      state_(setup_.state_dir / kStateFile,
             {[this](PrivateState::Task task) { return loop_.post(std::move(task)); },
              [this](const PrivateState::Task& task) { guarded("state_done", task); },
              [this](const std::string& problem) { link_.log("error", problem); }, [this] { finish_if_drained(); }}) {}

void Instance::start_thread() try {
  std::thread([this] {
    try {
      live();
    } catch (const std::bad_alloc&) {
      refuse("out_of_memory", "an allocation failed in the service thread");
    } catch (const std::exception& problem) {  // the thread's door
      link_.log("error", std::string("the service thread ended: ") + problem.what());
      end_(1);
    }
  }).detach();
} catch (const std::system_error& problem) {  // the system has no thread to spare now; the core tries again later
  refuse("exited", std::string("the service thread could not be started: ") + problem.what());
}

void Instance::live() {
  service_thread_ = std::this_thread::get_id();
  if (!load() || !begin()) return callbacks_.rest();
  while (!ended_) {
    callbacks_.rest();
    loop_.turn(TimePoint::max());
  }
}

bool Instance::load() {
  Result<const hws_plugin*> table(nullptr);
  // Static initializers of the vendor run in here.
  if (!guarded("load", [&] { table = load_plugin(setup_.library, setup_.library_descriptor, host_); })) return false;
  if (!table) {
    refuse(table.error().code, table.error().message);
    return false;
  }
  if (const auto fits = check_table(*table, host_, setup_.plugin, setup_.version); !fits) {
    refuse(fits.error().code, fits.error().message);
    return false;
  }
  plugin_ = *table;
  return true;
}

bool Instance::begin() {
  restore_own_state();
  if (const auto loaded = state_.load(); !loaded) {
    refuse("exited", loaded.error().message);
    return false;
  }
  hws_status status = HWS_E_FAIL;
  if (!guarded("create", [&] { status = plugin_->create(&context_, &self_); })) return false;
  if (status != HWS_OK) {
    refuse("exited", status_words("create", status));
    return false;
  }
  if (!take_handover() || !configure_first()) return false;
  if (!guarded("start", [&] { status = plugin_->start(self_); })) return false;
  if (status != HWS_OK) {
    refuse("exited", status_words("start", status));
    return false;
  }
  started_ = true;
  put_handover_away();
  link_.send(message_of("ready"));
  return true;
}

bool Instance::configure_first() {
  for (const std::int32_t mode : {HWS_CONFIG_CHECK, HWS_CONFIG_APPLY}) {
    std::string why;
    const hws_status status = configure_plugin(mode, setup_.config, why);
    if (ended_) return false;
    if (status == HWS_OK || status == HWS_RESTART_NEEDED) continue;
    refuse("config_refused", why);
    return false;
  }
  return true;
}

// A version that runs and is not on probation beside its own copy was put back: what another one did since does not count.
void Instance::restore_own_state() {
  if (setup_.probation) return;
  const auto restored =
      restore_state(setup_.state_dir / control::kStateBeforeFile, setup_.version, setup_.state_dir / kStateFile);
  if (!restored)
    link_.log("error", "the private state is not put back to what this version had left: " + restored.error().message);
  if (restored && *restored) link_.log("info", "the private state is what this version had left before the upgrade");
}

// On probation the old version may still come back, and needs it then; only that this one has it is noted.
void Instance::put_handover_away() {
  Status done = ok();
  if (!setup_.probation) {
    done = remove_handover(setup_.state_dir);
  } else if (took_over_) {
    done = note_taken(setup_.state_dir, setup_.version);
  }
  if (!done) link_.log("error", done.error().message);
}

const hws_plugin_handover* Instance::handover_table() {
  const void* table = nullptr;
  if (plugin_->extension) guarded("extension", [&] { table = plugin_->extension(self_, HWS_EXT_HANDOVER); });
  return static_cast<const hws_plugin_handover*>(table);
}

bool Instance::take_handover() {
  const auto handover = read_handover(setup_.state_dir);
  if (!handover) {
    link_.log("error", "nothing is taken over from the version before: " + handover.error().message);
    return true;
  }
  // Once per version: what it took over at an earlier start, it has kept for itself since.
  if (!*handover || !setup_.takes_over || (*handover)->taken_by == setup_.version) return true;
  const auto* const table = handover_table();
  if (ended_) return false;
  if (!HWS_HAS(hws_plugin_handover, table, load)) return true;  // this version wants nothing
  hws_status status = HWS_E_FAIL;
  const Handover& saved = **handover;
  if (!guarded("load_handover", [&] { status = table->load(self_, saved.format, borrow(saved.content)); }))
    return false;
  took_over_ = status == HWS_OK;
  if (took_over_) return true;
  // There is no version to go back to, and it would be refused at every start.
  if (const auto gone = setup_.probation ? ok() : remove_handover(setup_.state_dir); !gone)
    link_.log("error", gone.error().message);
  refuse("exited", status_words("load", status) + " (saved by version " + printable(saved.version) + ")");
  return false;
}

void Instance::keep_state() {
  if (const auto kept = state_.keep_copy(setup_.state_dir / control::kStateBeforeFile, setup_.version); !kept)
    link_.log("error", "no copy of the private state is kept: " + kept.error().message);
}

// Nothing that fails here holds up the end: the next version begins without.
void Instance::save_handover() {
  const auto* const table = handover_table();
  if (!HWS_HAS(hws_plugin_handover, table, save)) return;
  ContentSink sink(kHandoverBytesMax);
  hws_status status = HWS_E_FAIL;
  if (!guarded("save_handover", [&] { status = table->save(self_, sink.sink()); })) return;
  std::string problem;
  if (sink.overran()) {
    problem = "save() wrote more than " + std::to_string(kHandoverBytesMax) + " bytes";
  } else if (status != HWS_OK) {
    problem = status_words("save", status);
  } else if (const auto kept = write_handover(setup_.state_dir, {table->format, setup_.version, sink.content(), ""});
             !kept) {
    problem = kept.error().message;
  }
  if (!problem.empty()) link_.log("error", "nothing is handed over to the next version: " + problem);
}

hws_status Instance::configure_plugin(std::int32_t mode, const std::string& config, std::string& why) {
  TextSink sink(kWhyBytesMax);
  hws_status status = HWS_E_FAIL;
  guarded("configure", [&] { status = plugin_->configure(self_, mode, borrow(config), sink.sink()); });
  if (status != HWS_OK && status != HWS_RESTART_NEEDED)
    why = sink.text().empty() ? status_words("configure", status) : printable(sink.text(), kWhyBytesMax);
  return status;
}

std::string Instance::status_words(const char* function, hws_status status) {
  const std::lock_guard lock(mutex_);
  std::string words = std::string(function) + "() answered " + status_name(status);
  if (!last_error_.empty()) words += ": " + last_error_;
  last_error_.clear();
  return words;
}

void Instance::refuse(const std::string& reason, const std::string& detail) {
  ended_ = true;
  auto message = message_of("refused");
  message->set("reason", reason);
  message->set("detail", detail);
  link_.send(message);
  end_(1);
}

bool Instance::guarded(const char* what, const std::function<void()>& call) {
  if (ended_) return false;
  std::string thrown;
  try {
    const CallbackWatch::Open open(callbacks_, what);
    call();
    return true;
  } catch (const std::bad_array_new_length& problem) {
    thrown = problem.what();  // a wrong length, not a want of memory
  } catch (const std::bad_alloc&) {
    // RLIMIT_AS makes allocations fail where a cgroup would kill: the core tells both as the same limit.
    refuse("out_of_memory", std::string("an allocation failed in ") + what + "()");
    return false;
  } catch (const std::exception& problem) {
    thrown = problem.what();
  } catch (...) {
    thrown = "something that is no std::exception";
  }
  const std::string detail =
      std::string("an exception crossed the boundary in ") + what + "(): " + printable(thrown, 512);
  link_.log("error", detail);
  refuse("exited", detail);
  return false;
}

void Instance::stop_plugin(std::uint32_t deadline_ms) {
  if (stopping_ || ended_) return;
  stopping_ = true;
  if (!started_) return drain();
  const milliseconds wait_for_plugin{deadline_ms / 4 * 3};
  loop_.after(wait_for_plugin, [this] {
    if (draining_) return;
    link_.log("warn", "the plugin did not report that it stopped in three quarters of its time");
    drain();
  });
  guarded("stop", [&] { plugin_->stop(self_, deadline_ms); });
}

void Instance::drain() {
  if (draining_ || ended_) return;
  draining_ = true;
  if (leaving_.state && started_) keep_state();
  if (leaving_.handover && started_) save_handover();
  if (ended_) return;
  CoreWord word;
  word.kind = CoreWord::Kind::Stop;
  word.at = stop_until_;
  switchboard_.deliver_to_all(word);
  finish_if_drained();
}

void Instance::finish_if_drained() {
  if (!draining_ || running_subconnections_ > 0 || !state_.idle() || ended_) return;
  if (plugin_->destroy) guarded("destroy", [&] { plugin_->destroy(self_); });
  if (ended_) return;
  ended_ = true;
  auto message = message_of("health");
  message->set("state", "stopped");
  {
    const std::lock_guard lock(mutex_);
    message->set("detail", stopped_detail_);
  }
  link_.send(message);
  end_(0);
}

}  // namespace hawser::host

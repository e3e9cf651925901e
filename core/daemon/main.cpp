// hawserd: keeps the device moored to its cloud. This file shows how the house is built; each part says what it does.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <iostream>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/config/load.hpp"
#include "core/connection/main_connection.hpp"
#include "core/connection/validity_floor.hpp"
#include "core/control/control_socket.hpp"
#include "core/daemon/bundle_upload.hpp"
#include "core/daemon/cloud_plugins.hpp"
#include "core/daemon/commands.hpp"
#include "core/daemon/dhcp_leases.hpp"
#include "core/daemon/history.hpp"
#include "core/daemon/inbox.hpp"
#include "core/daemon/instance_lock.hpp"
#include "core/daemon/log_report.hpp"
#include "core/daemon/network_notes.hpp"
#include "core/daemon/network_watch.hpp"
#include "core/daemon/options.hpp"
#include "core/daemon/plugin_install.hpp"
#include "core/daemon/reloader.hpp"
#include "core/daemon/service_manager.hpp"
#include "core/daemon/signals.hpp"
#include "core/daemon/start_record.hpp"
#include "core/daemon/state_folder.hpp"
#include "core/supervisor/child_process.hpp"
#include "core/supervisor/supervisor.hpp"
#include "core/trust/under_way.hpp"

namespace hawser::daemon {
namespace {

// Together with the main connection's close (2 s at most) the agent is gone within 5 s of SIGTERM.
constexpr milliseconds kHostsStopLimit{2400};

// The supervisor's view of the main connection, which is made before it; what it reports is history, too.
class CloudOf : public supervisor::Cloud {
 public:
  CloudOf(connection::MainConnection& connection, History& history) : connection_(connection), history_(history) {}
  void set_offers(std::vector<connection::Offer> offers) override { connection_.set_offers(std::move(offers)); }
  void request_grants() override { connection_.request_grants(); }
  void reach_cloud(std::uint64_t id) override { connection_.reach_cloud(id); }
  void report(connection::Event event) override {
    history_.add(event);
    connection_.report(std::move(event));
  }

 private:
  connection::MainConnection& connection_;
  History& history_;
};

// SIGHUP takes a new configuration; SIGTERM and SIGINT stop in good order, a second one at once.
struct OnSignals {
  Loop& loop;
  connection::MainConnection& connection;
  supervisor::Supervisor& supervisor;
  Reloader& reloader;
  bool stopping = false;
  std::string why{};  // for the history

  void operator()(int number) { number == SIGHUP ? reload() : stop(number); }

  void reload() {
    if (stopping) return;
    spdlog::info("SIGHUP: reads the configuration anew");
    tell_reloading();
    reloader.reload([](const Result<json::Object>&) { tell_service_manager("READY=1"); });  // the log says the rest
  }

  void stop(int number) {
    if (stopping) return loop.stop();
    stopping = true;
    spdlog::info("{}: stopping", supervisor::signal_name(number));
    tell_service_manager("STOPPING=1");
    why = supervisor::signal_name(number);
    supervisor.stop(kHostsStopLimit, [this] {
      connection.stop();
      loop.stop();
    });
  }
};

// Secrets (the device key, tokens) must not end in a file that we did not mean to write.
void close_the_shutters() {
  ::umask(077);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
#ifndef HAWSER_SANITIZED  // the leak checker has to look into its own process
  ::prctl(PR_SET_DUMPABLE, 0);
#endif
}

int fail(const Error& error, int code = kExitFailed) {
  std::cerr << "hawserd: " << error.message << "\n";
  return code;
}

void greet_on_first_start(const Options& options, const config::Settings& settings) {
  std::error_code unknown;
  if (std::filesystem::exists(options.state_dir / "device.key", unknown)) return;
  std::cout << "hawserd: first start. The serial number of this device is " << settings.serial
            << ". In the cloud, add it: hawser-cloud device add " << settings.serial << std::endl;
}

Status prepare_folders(const Options& options) {
  if (auto made = make_folder(options.state_dir); !made) return made;
  std::error_code problem;
  const bool there = std::filesystem::exists(options.runtime_dir, problem);
  if (auto made = make_folder(options.runtime_dir); !made) return made;
  // The group of the control socket has to get at it; the socket's own mode says who may speak.
  if (!there) std::filesystem::permissions(options.runtime_dir, std::filesystem::perms{0755}, problem);
  return ok();
}

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", 256);
  return text ? text->substr(0, text->find('\n')) : random_uuid();
}

std::chrono::seconds uptime() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds(time.tv_sec);
}

// What the configuration takes from the device: among it the key that opens the password.
config::DeviceSources sources_of(const Options& options) {
  config::DeviceSources sources;
  sources.state_dir = options.state_dir;
  return sources;
}

// What asks this agent, whatever folders it was given.
std::vector<std::string> hawserctl_of(const Options& options) {
  return {options.ctl_program.string(),
          "--json",
          "--socket",
          (options.runtime_dir / "control.sock").string(),
          "--config",
          options.config_dir.string(),
          "--state-dir",
          options.state_dir.string(),
          "--plugin-dir",
          options.plugin_dir.string()};
}

connection::Event development_mode() { return {"security", "", "", config::kDevelopmentModeWords}; }

// How the last run left its connection, which that run could not tell, and that this device is open to any plugin.
void tell_of_start(const config::Settings& settings, const History& history, connection::MainConnection& connection,
                   CloudOf& cloud) {
  if (history.cut_off()) connection.report(*history.cut_off());  // the history has it
  if (settings.development_mode) cloud.report(development_mode());
}

int serve(const Options& options, config::Settings& settings) {
  if (const auto made = prepare_folders(options); !made) return fail(made.error());
  const auto lock = InstanceLock::take(options.state_dir);
  if (!lock) return fail(lock.error(), lock.error().code == "busy" ? kExitLocked : kExitFailed);
  greet_on_first_start(options, settings);

  Loop loop;
  Inbox inbox(loop);
  FileWriter writer;
  KeptWishes wishes(options.state_dir / "site_profile", writer.hand_over());
  const config::Settings local = settings;
  settings = config::with_wishes(local, wishes.value());  // also while the cloud is away
  const connection::ValidityFloor floor(options.state_dir / connection::ValidityFloor::kFile);
  History history(options.state_dir, floor.value());
  const auto connection =
      connection::MainConnection::make(settings, {options.state_dir, boot_id(), HAWSER_VERSION}, inbox);
  if (!connection) return fail(connection.error());
  connection::MainConnection& main_connection = **connection;
  CloudOf cloud(main_connection, history);
  tell_of_start(settings, history, main_connection, cloud);
  trust::remove_leftovers(options.plugin_dir);
  auto cgroups = supervisor::CgroupTree::take_over();
  spdlog::info("{}", cgroups ? "limits of plugins are held by cgroups below " + cgroups->folder().string()
                             : cgroups.error().message);
  supervisor::Supervisor supervisor(
      loop, settings, {options.plugin_dir, options.state_dir, options.host_program, options.config_dir / "trust.d"},
      cloud, {}, std::move(cgroups));
  const auto note = [&history](connection::Event event) { history.add(event); };
  DhcpLeases leases(
      loop, options.runtime_dir / "dhcp", settings.dhcp,
      [&](std::optional<connection::DhcpOffer> offer) { main_connection.set_dhcp(std::move(offer)); }, note);
  NetworkNotes notes;
  const NetworkWatch network(loop, [&](connection::NetworkChange change, const std::string& what) {
    const bool resumed = change == connection::NetworkChange::Resumed;
    const auto noted = notes.note(change, what, Clock::now());
    spdlog::log(noted ? spdlog::level::info : spdlog::level::debug, "network: {}", what);
    if (noted) history.add(*noted);
    main_connection.network_changed(change);
    supervisor.network_changed(resumed);
    leases.look();
  });
  Reloader reloader(
      loop, settings, [&options] { return config::load(options.config_dir, sources_of(options)); },
      [&](const config::Settings& before) {
        if (settings.development_mode && !before.development_mode) cloud.report(development_mode());
        if (before.log_level != settings.log_level) [[maybe_unused]]
          const auto known = set_log_level(settings.log_level);
        main_connection.configure(settings);
        leases.configure(settings.dhcp);
        supervisor.configure(settings);
      },
      [&cloud](connection::Event event) { cloud.report(std::move(event)); });
  reloader.set_layer(local, [&wishes](const auto& files) { return config::with_wishes(files, wishes.value()); });
  const auto socket = options.runtime_dir / "control.sock";
  BundleUpload bundles(loop, hawserctl_of(options), options.runtime_dir);
  PluginInstall installs(loop, hawserctl_of(options), options.runtime_dir);
  CloudPlugins cloud_plugins({loop, wishes, reloader, supervisor, main_connection},
                             [&cloud](connection::Event event) { cloud.report(std::move(event)); });
  Commands commands({settings, supervisor, main_connection, history, reloader, bundles, cloud_plugins, installs});
  inbox.deliver_to(commands);
  const auto control = control::ControlServer::listen(
      loop, socket,
      [&commands](const control::Request& request, const control::Reply& reply) { commands.answer(request, reply); },
      control::AccessGroups::of_system());
  if (!control) return fail(control.error());
  OnSignals on_signals{loop, main_connection, supervisor, reloader};
  const Signals signals(loop, [&on_signals](int number) { on_signals(number); });

  StartRecord record(options.state_dir / "starts.json", boot_id(), uptime());
  if (record.safe_mode()) supervisor.enter_safe_mode(*record.safe_mode(), [&record] { record.forget_all(); });
  record.watch(loop, [&supervisor] { supervisor.leave_safe_mode("ten minutes without another such end"); });

  main_connection.start(supervisor.offers());  // while the hosts start
  supervisor.start();
  feed_watchdog(loop);
  tell_service_manager("READY=1");
  spdlog::info("hawserd {} runs, serial {}, {} plugins", HAWSER_VERSION, settings.serial, supervisor.plugins().size());
  loop.run();
  record.ended_in_order();
  history.add({"agent", "", "stopped", on_signals.why});  // the last of all: the next start looks for it
  spdlog::info("stopped");
  return kExitOk;
}

// What cannot be looked at now is no fault of whoever has set it, and the service manager shall start us again.
int exit_for(const Error& error) {
  if (error.code == "bad_usage") return kExitUsage;
  return error.code == "bad_config" ? kExitConfig : kExitFailed;
}

int run(int count, char** arguments) {
  const auto parsed = parse_options(count, arguments);
  if (parsed.exit) return *parsed.exit;
  const auto place = check_state_folder(parsed.options.state_dir);
  if (!place) return fail(place.error(), exit_for(place.error()));
  for (const auto& warning : *place) std::cerr << "warning: " << warning << "\n";
  auto loaded = config::load(parsed.options.config_dir, sources_of(parsed.options));
  for (const auto& warning : loaded.warnings) std::cerr << "warning: " << warning << "\n";
  for (const auto& fault : loaded.faults) std::cerr << fault << "\n";
  if (!loaded.settings) return kExitConfig;
  if (parsed.options.check) return kExitOk;
  block_signals();
  if (const auto started = start_log("hawserd", loaded.settings->log_level, kLogTailBytes); !started)
    return fail(started.error(), kExitConfig);
  return serve(parsed.options, *loaded.settings);
}

}  // namespace
}  // namespace hawser::daemon

int main(int count, char** arguments) {
  try {
    hawser::daemon::close_the_shutters();
    return hawser::daemon::run(count, arguments);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "hawserd: %s\n", problem.what());
    return hawser::daemon::kExitFailed;
  }
}

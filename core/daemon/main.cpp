// hawserd: keeps the device moored to its cloud. This file shows how the house is built; each part says what it does.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/config/load.hpp"
#include "core/connection/main_connection.hpp"
#include "core/control/control_socket.hpp"
#include "core/daemon/commands.hpp"
#include "core/daemon/inbox.hpp"
#include "core/daemon/instance_lock.hpp"
#include "core/daemon/options.hpp"
#include "core/daemon/service_manager.hpp"
#include "core/daemon/signals.hpp"
#include "core/supervisor/child_process.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::daemon {
namespace {

// Together with the main connection's close (2 s at most) the agent is gone within 5 s of SIGTERM.
constexpr milliseconds kHostsStopLimit{2400};

// The supervisor's view of the main connection, which is made before it.
class CloudOf : public supervisor::Cloud {
 public:
  explicit CloudOf(connection::MainConnection& connection) : connection_(connection) {}
  void set_offers(std::vector<connection::Offer> offers) override { connection_.set_offers(std::move(offers)); }
  void request_grants() override { connection_.request_grants(); }
  void reach_cloud(std::uint64_t id) override { connection_.reach_cloud(id); }
  void report(connection::Event event) override { connection_.report(std::move(event)); }

 private:
  connection::MainConnection& connection_;
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

int serve(const Options& options, const config::Settings& settings) {
  if (const auto made = prepare_folders(options); !made) return fail(made.error());
  const auto lock = InstanceLock::take(options.state_dir);
  if (!lock) return fail(lock.error(), lock.error().code == "busy" ? kExitLocked : kExitFailed);
  greet_on_first_start(options, settings);

  Loop loop;
  Inbox inbox(loop);
  const auto connection =
      connection::MainConnection::make(settings, {options.state_dir, boot_id(), HAWSER_VERSION}, inbox);
  if (!connection) return fail(connection.error());
  connection::MainConnection& main_connection = **connection;
  CloudOf cloud(main_connection);
  supervisor::Supervisor supervisor(loop, settings, {options.plugin_dir, options.state_dir, options.host_program},
                                    cloud);
  Commands commands(settings, supervisor, main_connection);
  inbox.deliver_to(commands);
  const auto control = control::ControlServer::listen(
      loop, options.runtime_dir / "control.sock",
      [&commands](const control::Request& request, const control::Reply& reply) { commands.answer(request, reply); });
  if (!control) return fail(control.error());

  bool stopping = false;
  const Signals signals(loop, [&](int number) {
    if (number == SIGHUP) return spdlog::info("SIGHUP: restart the agent to take over a new configuration");
    if (stopping) return loop.stop();  // asked twice: at once
    stopping = true;
    spdlog::info("{}: stopping", supervisor::signal_name(number));
    tell_service_manager("STOPPING=1");
    supervisor.stop(kHostsStopLimit, [&] {
      main_connection.stop();
      loop.stop();
    });
  });

  main_connection.start(supervisor.offers());  // while the hosts start
  supervisor.start();
  tell_service_manager("READY=1");
  spdlog::info("hawserd {} runs, serial {}, {} plugins", HAWSER_VERSION, settings.serial, supervisor.plugins().size());
  loop.run();
  spdlog::info("stopped");
  return kExitOk;
}

int run(int count, char** arguments) {
  const auto parsed = parse_options(count, arguments);
  if (parsed.exit) return *parsed.exit;
  auto loaded = config::load(parsed.options.config_dir);
  for (const auto& warning : loaded.warnings) std::cerr << "warning: " << warning << "\n";
  for (const auto& fault : loaded.faults) std::cerr << fault << "\n";
  if (!loaded.settings) return kExitConfig;
  if (parsed.options.check) return kExitOk;
  block_signals();
  if (const auto started = start_log("hawserd", loaded.settings->log_level); !started)
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

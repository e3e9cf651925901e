#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/loop.hpp"
#include "core/config/load.hpp"
#include "core/connection/main_connection.hpp"

namespace hawser::daemon {

// Takes a new configuration while the agent runs (promises conn-25, ops-5): reads it on a thread of its own, and then
// replaces the one in force on the loop's thread, or leaves it as it is when the new one has a fault.
// Owned by main(), lives on the loop's thread; ends before the loop does.
class Reloader {
 public:
  using Load = std::function<config::LoadResult()>;  // on the other thread; blocks on the disk
  // `settings` is the new one already.
  using Apply = std::function<void(const config::Settings& before)>;
  using Tell = std::function<void(connection::Event)>;
  // {"changed":[key...],"warnings":[...]}, or bad_config with every fault on a line of its own.
  using Done = std::function<void(Result<json::Object>)>;

  // `settings`: the one in force, which everyone reads; replaced before `apply`.
  Reloader(Loop& loop, config::Settings& settings, Load load, Apply apply, Tell tell)
      : loop_(loop), settings_(settings), load_(std::move(load)), apply_(std::move(apply)), tell_(std::move(tell)) {}
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;
  ~Reloader();  // waits for a reading under way; `done` is not called then

  // What lies over the files: `local` is what they say now. Where nothing is set, nothing does.
  using Layer = std::function<config::Settings(const config::Settings& local)>;
  void set_layer(config::Settings local, Layer layer);
  // The layer says something else now; the files are not read. What it changed.
  std::vector<std::string> layer_again();
  const config::Settings& local() const { return layer_ ? local_ : settings_; }

  // `done` is told of a reading that began after this call.
  void reload(Done done);
  // Why the configuration on disk is not the one in force: the faults of the last reading, or nothing.
  const std::string& refused() const { return refused_; }

 private:
  void begin();
  config::LoadResult read() const;
  void finish(config::LoadResult loaded);
  Result<json::Object> take(config::LoadResult loaded);
  std::vector<std::string> adopt(config::Settings fresh);

  Loop& loop_;
  config::Settings& settings_;
  config::Settings local_;  // as the files say; only with a layer
  Layer layer_;
  Load load_;
  Apply apply_;
  Tell tell_;
  std::vector<Done> asked_, answered_next_;  // answered_next_: by the reading under way
  std::string refused_;
  std::atomic<bool> ending_{false};
  std::thread reading_;
};

}  // namespace hawser::daemon

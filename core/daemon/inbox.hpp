#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.hpp"
#include "core/base/loop.hpp"
#include "core/connection/main_connection.hpp"

namespace hawser::daemon {

// Where the main connection's thread leaves what it has to tell, and the main thread picks it up: the same interface at
// both ends, with the threads changed. Bounded without losing what must not be lost: of snapshots, site profiles and whole
// lists of grants only the newest waits, a revocation waits once per service; commands and events over kInboxMax are dropped
// and logged (the cloud repeats a command until it is answered).
// Owned by main(). deliver_to() and destruction: the loop's thread; on_...(): any thread.
class Inbox : public connection::Observer {
 public:
  static constexpr std::size_t kInboxMax = 1024;

  explicit Inbox(Loop& loop);  // throws std::system_error
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  ~Inbox() override;

  // From now on `receiver` is called, on the loop's thread. It must outlive the loop's run.
  void deliver_to(connection::Observer& receiver);

  void on_snapshot(connection::Snapshot snapshot) override;
  void on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal> refused) override;
  void on_revoked(std::string service, std::string reason) override;
  void on_server_changed() override;
  void on_command(std::string id, std::string name, json::Object args) override;
  void on_site_profile(std::string id, config::SiteProfile profile) override;
  void on_event(connection::Event event) override;
  void on_unbind_result(std::uint64_t id, Status result) override;
  void on_reached(std::uint64_t id, std::string how) override;
  void on_validity_floor(std::chrono::system_clock::time_point floor) override;

 private:
  enum class Kind { Snapshot, Grants, Revoked, ServerChanged, ValidityFloor, Reached, Unbound, SiteProfile, Command, Event };
  struct Letter {
    Kind kind;
    std::string key;  // letters of one kind and key replace each other
    std::function<void(connection::Observer&)> read;
  };

  void put(Letter letter);
  void wake();
  void deliver();

  Loop& loop_;
  Descriptor event_;
  connection::Observer* receiver_ = nullptr;

  std::mutex mutex_;  // guards the one below
  std::deque<Letter> letters_;
};

}  // namespace hawser::daemon

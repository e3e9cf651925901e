#include "core/daemon/inbox.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/base/log.hpp"

namespace hawser::daemon {

Inbox::Inbox(Loop& loop) : loop_(loop), event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!event_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Inbox::~Inbox() { loop_.unwatch(event_.get()); }

void Inbox::deliver_to(connection::Observer& receiver) {
  receiver_ = &receiver;
  loop_.watch(event_.get(), POLLIN, [this](short) { deliver(); });
}

void Inbox::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t done = ::write(event_.get(), &one, sizeof one);  // full means: awake already
}

void Inbox::deliver() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
  std::deque<Letter> now;
  {
    const std::lock_guard lock(mutex_);
    now.swap(letters_);
  }
  for (const auto& letter : now) letter.read(*receiver_);
}

void Inbox::put(Letter letter) {
  {
    const std::lock_guard lock(mutex_);
    const bool may_be_lost = letter.kind == Kind::Command || letter.kind == Kind::Event;
    if (may_be_lost && letters_.size() >= kInboxMax) {
      spdlog::warn("the main thread is behind: a {} of the cloud was dropped",
                   letter.kind == Kind::Command ? "command" : "connection event");
      return;
    }
    const auto is_outdated = [&letter, may_be_lost](const Letter& old) {
      const bool about_grants = old.kind == Kind::Grants || old.kind == Kind::Revoked;
      if (letter.kind == Kind::Grants) return about_grants;  // the whole list says it all
      if (letter.kind == Kind::ServerChanged) return about_grants || old.kind == Kind::ServerChanged;
      return !may_be_lost && old.kind == letter.kind && old.key == letter.key;
    };
    letters_.erase(std::remove_if(letters_.begin(), letters_.end(), is_outdated), letters_.end());
    letters_.push_back(std::move(letter));
  }
  wake();
}

void Inbox::on_snapshot(connection::Snapshot snapshot) {
  put({Kind::Snapshot, "", [snapshot = std::move(snapshot)](auto& to) { to.on_snapshot(snapshot); }});
}

void Inbox::on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal> refused) {
  put({Kind::Grants, "",
       [grants = std::move(grants), refused = std::move(refused)](auto& to) { to.on_grants(grants, refused); }});
}

void Inbox::on_revoked(std::string service, std::string reason) {
  std::string key = service;
  put({Kind::Revoked, std::move(key),
       [service = std::move(service), reason = std::move(reason)](auto& to) { to.on_revoked(service, reason); }});
}

void Inbox::on_server_changed() {
  put({Kind::ServerChanged, "", [](auto& to) { to.on_server_changed(); }});
}

void Inbox::on_command(std::string id, std::string name, json::Object args) {
  put({Kind::Command, "", [id = std::move(id), name = std::move(name), args = std::move(args)](auto& to) {
         to.on_command(id, name, args);
       }});
}

void Inbox::on_site_profile(std::string id, config::SiteProfile profile) {
  put({Kind::SiteProfile, "",
       [id = std::move(id), profile = std::move(profile)](auto& to) { to.on_site_profile(id, profile); }});
}

void Inbox::on_event(connection::Event event) {
  put({Kind::Event, "", [event = std::move(event)](auto& to) { to.on_event(event); }});
}

void Inbox::on_unbind_result(std::uint64_t id, Status result) {
  put({Kind::Unbound, std::to_string(id), [id, result](auto& to) { to.on_unbind_result(id, result); }});
}

void Inbox::on_reached(std::uint64_t id, std::string how) {
  std::string key = std::to_string(id);
  put({Kind::Reached, std::move(key), [id, how = std::move(how)](auto& to) { to.on_reached(id, how); }});
}

void Inbox::on_validity_floor(std::chrono::system_clock::time_point floor) {
  put({Kind::ValidityFloor, "", [floor](auto& to) { to.on_validity_floor(floor); }});
}

}  // namespace hawser::daemon

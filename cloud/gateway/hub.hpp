#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cloud/api/settings.hpp"
#include "cloud/gateway/authentication.hpp"
#include "cloud/gateway/group_commit.hpp"
#include "cloud/gateway/peer.hpp"
#include "cloud/gateway/upload.hpp"
#include "cloud/services/microservice.hpp"

namespace hawser::cloud {

class MainSession;
class ServiceSession;

// What became of an upgrade request: a refusal, or a conversation to begin once the WebSocket is open.
struct Upgrade {
  std::optional<Response> refused;
  std::string subprotocol;
  std::function<std::shared_ptr<Conversation>(Peer&)> begin;
};

// A WebSocket that the gateway opens.
struct DialOrder {
  VendorMicroservice to;
  std::string subprotocol;
  std::vector<std::pair<std::string, std::string>> headers;
};

// The gateway without sockets: routes requests, and knows who is connected. Owned by serve; one thread.
class Hub {
 public:
  using Clock = std::function<Now()>;
  // What is sent before it is open waits in its queue. The conversation is told of its end also where it never opened.
  using Dial = std::function<std::shared_ptr<Peer>(DialOrder, std::shared_ptr<Conversation>)>;

  Hub(const Settings& settings, Store& store, Clock clock, std::function<void()> arm_commit, Dial dial);
  ~Hub();

  Response handle(const Request& request, bool authentication_port);
  Upgrade upgrade(const Request& request);
  Result<Upload> begin_upload(const std::string& token);
  // The file of a plugin's bundle. not_found, unavailable.
  Result<std::string> plugin_bundle(const std::string& token);

  void tick();        // about once a second: hang-ups, deadlines, expiring grants
  void poll_store();  // every 200 ms at the latest: what operators' commands changed
  void flush() { commits_.flush(now()); }
  // Mains are asked to leave within `spread_s`; drain_step(), called often, closes subconnections with 1012 in the same
  // spread, each after what it sent is stored.
  void drain(int retry_after_s, int spread_s);
  void drain_step();
  void close_all(int code, const std::string& reason);
  void microservices_changed();  // settings.microservices are others now
  bool idle() const { return mains_.empty() && subconnections_.empty(); }

  // For conversations.
  const Settings& settings() const { return settings_; }
  Store& store() { return store_; }
  GroupCommit& commits() { return commits_; }
  Now now() const { return clock_(); }
  const VendorMicroservice* vendor_microservice(const std::string& service) const;
  // The subprotocol of a service that this cloud has.
  std::optional<std::string> protocol(const std::string& service) const;
  std::shared_ptr<Peer> dial(DialOrder order, std::shared_ptr<Conversation> conversation) {
    return dial_(std::move(order), std::move(conversation));
  }
  void entered(const std::shared_ptr<MainSession>& session);
  void entered(const std::shared_ptr<ServiceSession>& session);
  void left(MainSession& session);
  void left(ServiceSession& session);
  // Ends the subconnections of a device that is gone, blocked or unbound; or the one of a service.
  void close_subconnections(const std::string& serial, int code, const std::string& reason,
                            const std::string& service = {});

 private:
  using ServiceKey = std::pair<std::string, std::string>;
  std::vector<std::shared_ptr<ServiceSession>> subconnections_of(const std::string& serial) const;
  Response guarded_answer(const Request& request, bool auth);
  void sessions_changed(const std::string& serial);
  // Without a main connection nobody can be told of a revocation: what an operator took away is closed at once.
  void close_disabled(const std::string& serial);
  const Microservice* microservice(const std::string& service) const;
  std::shared_ptr<Conversation> serve(Peer& peer, const TokenRecord& token);
  Upgrade upgrade_main(const Request& request);
  Upgrade upgrade_service(const Request& request, const std::string& service);

  const Settings& settings_;
  Store& store_;
  Clock clock_;
  Dial dial_;
  Nonces nonces_;
  Admission admission_, registrations_;
  Share share_;
  Authentication authentication_;
  GroupCommit commits_;
  std::vector<std::unique_ptr<Microservice>> microservices_;
  std::unordered_map<std::string, std::shared_ptr<MainSession>> mains_;
  std::map<ServiceKey, std::shared_ptr<ServiceSession>> subconnections_;
  std::int64_t seen_version_ = 0;
  std::int64_t seen_change_ = 0;
  std::int64_t cleaned_at_ = 0;
  bool draining_ = false;
  std::multimap<std::int64_t, std::weak_ptr<ServiceSession>> leaving_;  // by the time of their closing
};

}  // namespace hawser::cloud

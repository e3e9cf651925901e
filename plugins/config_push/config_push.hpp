#pragma once

#include <hawser/plugin.hpp>
#include <memory>
#include <optional>
#include <string>

#include "allowed.hpp"
#include "incoming.hpp"
#include "job.hpp"
#include "message.hpp"
#include "statuses.hpp"

namespace hawser::config_push {

// The plugin hawser.config_push: takes revisions from the cloud, part by part, and hands each to a Job when its last
// part is there. One at a time: until its final status another is rejected "busy".
//
// At start an unconfirmed revision of the last run is put back before the cloud is connected.
class ConfigPush {
 public:
  static constexpr const char* kId = "hawser.config_push";
  static constexpr const char* kVersion = "0.1.0";

  explicit ConfigPush(sdk::Context& host) : host_(host) {}

  sdk::ConfigAnswer configure(std::string_view json, bool apply);
  void start();

 private:
  struct Last {  // the revision that was finished last
    std::string revision, state;
    MessageId message;
  };

  std::optional<Journal> load_journal() const;
  void connect();
  sdk::Verdict from_cloud(const sdk::DurableMessage& message);
  sdk::Verdict take_part(const Part& part, const MessageId& id, std::string_view payload);
  sdk::Verdict reject(const std::string& revision, std::string_view reason, std::string_view detail);
  bool was_taken_before(const MessageId& id) const;
  bool is_finished(const MessageId& id) const;
  void give_up_collecting(std::string_view detail);
  void resume_collecting();
  void last_part_is_there(bool again);  // `again`: after a restart
  void new_job();
  void job_finished(const std::string& revision, std::string_view state);
  void load_last();
  void save_last() const;

  sdk::Context& host_;
  std::string state_folder_;
  Allowed allowed_;
  sdk::Subconnection* cloud_ = nullptr;
  std::optional<Incoming> incoming_;
  std::optional<Statuses> statuses_;
  std::optional<Order> collecting_;
  sdk::Context::TimerId parts_timer_ = 0, rejected_timer_ = 0;
  std::unique_ptr<Job> job_;
  Last last_;
  std::string rejected_;  // the revision that was rejected last: its other parts are passed over
};

}  // namespace hawser::config_push

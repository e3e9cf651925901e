#pragma once

#include <functional>
#include <hawser/plugin.hpp>
#include <optional>
#include <string>
#include <vector>

#include "allowed.hpp"
#include "incoming.hpp"
#include "journal.hpp"
#include "revision.hpp"
#include "statuses.hpp"

namespace hawser::config_push {

// One revision, from its last part to its final status. Works in steps of one file each, so that no callback is long;
// the journal on disk says before each step what it may touch.
//
//   assemble -> check:  diff -> "checked"
//            -> apply:  stage -> swap -> reload -> "applied" -> confirm -> "confirmed"
//   a refusal before anything is touched   -> "rejected" (assemble) or "failed" (stage)
//   anything wrong from swap on            -> undo -> reload again -> "rolled_back", or "failed" when even that fails
//
// Owned by ConfigPush; on the service thread. Split over job.cpp (forward) and job_undo.cpp (back).
class Job {
 public:
  // Called once, when the final status was handed to `statuses`; the job may be destroyed after it, not in it.
  using Finished = std::function<void(const std::string& revision, std::string_view state)>;

  Job(sdk::Context& host, std::string state_folder, const Allowed& allowed, Statuses& statuses, Finished finished);
  ~Job();

  // `again`: the last instance may have begun it, and said so.
  void begin(const Order& order, const Incoming& incoming, bool again);
  void recover(Journal journal);  // of the instance before this one
  void acked();                   // statuses were acknowledged
  const std::string& revision() const { return journal_.revision; }
  bool over() const { return over_; }  // it has its final status

 private:
  using Method = void (Job::*)();

  // ---- job.cpp
  void next(Method step);  // posts one step; what it throws goes to fail()
  void run(Method step);
  void fail(const std::string& reason, const std::string& detail);
  void assemble();
  void assembled();
  void diff();
  void stage();
  void swap();
  void reload();
  void reloaded(const std::string& name, const sdk::ActionResult& result);
  void applied();
  void not_confirmed();
  void stop_waiting();  // for the confirmation
  void ask_the_cloud();
  void confirm_if_complete();
  void confirmed();
  void finish(std::string_view state, std::string_view reason = {}, std::string_view detail = {},
              std::string_view diff = {});
  void enter(Step step);
  void forget_journal();

  // ---- job_undo.cpp
  void undo(const std::string& reason, const std::string& detail);
  void put_back();
  static void put_back_one(const JournalFile& file);
  void could_not_put_back(const std::string& what);
  void reload_old();
  void undone(const std::string& reload_fault);

  sdk::Context& host_;
  std::string state_folder_, journal_path_;
  const Allowed& allowed_;
  Statuses& statuses_;
  Finished finished_;

  Order order_;
  const Incoming* incoming_ = nullptr;
  std::optional<Assembly> assembly_;
  Journal journal_;
  std::string diff_;
  std::size_t at_ = 0;  // the part, file or action that is next
  bool undoing_ = false, failure_said_ = false, over_ = false;
  bool cloud_reached_ = false;
  std::uint64_t applied_ticket_ = 0;
  sdk::Context::TimerId confirm_timer_ = 0, sleep_timer_ = 0, retry_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks that outlive the job
};

}  // namespace hawser::config_push

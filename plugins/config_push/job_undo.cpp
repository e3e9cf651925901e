#include "job.hpp"
#include "limits.hpp"
#include "refusal.hpp"

namespace hawser::config_push {

// What an earlier instance left behind: unconfirmed is put back, confirmed only needs to be said.
void Job::recover(Journal journal) {
  journal_ = std::move(journal);
  if (journal_.step == Step::confirmed) return next(&Job::confirmed);
  if (journal_.step == Step::undoing) return undo(journal_.reason, journal_.detail);
  // After a power loss services may have started with the new files.
  journal_.reload_again = journal_.step != Step::staging && !journal_.reload.empty();
  undo("agent_restarted", "the agent or the device was restarted before the revision was confirmed");
}

void Job::undo(const std::string& reason, const std::string& detail) {
  const bool untouched = journal_.step == Step::staging;
  stop_waiting();
  undoing_ = true;
  journal_.reason = reason;
  journal_.detail = detail.substr(0, kDetailBytesMax);
  at_ = 0;
  host_.health(HWS_DEGRADED, "revision " + journal_.revision + " is being put back");
  try {
    if (!untouched) enter(Step::undoing);
  } catch (const std::exception& error) {
    return could_not_put_back(error.what());
  }
  next(&Job::put_back);
}

void Job::put_back() {
  if (at_ == journal_.files.size()) {
    at_ = 0;
    if (journal_.step == Step::staging) return undone({});
    return next(&Job::reload_old);
  }
  const JournalFile& file = journal_.files[at_];
  remove_temporary(file.path, file.temporary);
  if (journal_.step != Step::staging) put_back_one(file);
  ++at_;
  next(&Job::put_back);
}

// Leaves a file alone that is as it was, so doing it twice does no harm.
void Job::put_back_one(const JournalFile& file) {
  const auto present = look_at(file.path);
  if (!file.existed) {
    if (present) remove_target(file.path);
    return;
  }
  const std::string before = sdk::read_file(file.backup, kRevisionBytesMax).value();
  if (present && present->attributes == file.before && present->size == before.size() &&
      read_target(file.path, kRevisionBytesMax) == before) {
    return;
  }
  config_push::stage(file.path, file.temporary, file.backup, file.before);
  swap_in(file.path, file.temporary);
}

// A full disk, a folder that is gone: tried again until it works; until then the journal stays and others are busy.
void Job::could_not_put_back(const std::string& what) {
  host_.health(HWS_DEGRADED, "revision " + journal_.revision + " could not be put back: " + what);
  if (!failure_said_) {
    failure_said_ = true;
    statuses_.add({journal_.revision,
                   "failed",
                   "write_failed",
                   journal_.detail + "; and the old files could not be put back, which is tried again: " + what,
                   {}});
  }
  retry_timer_ = host_.after(kPutBackRetry, [this] { undo(journal_.reason, journal_.detail); });
}

void Job::reload_old() {
  if (!journal_.reload_again || at_ == journal_.reload.size()) return undone({});
  const std::string name = journal_.reload[at_++];
  try {
    host_.run_action(name, [this, name, alive = alive_](const sdk::ActionResult& result) {
      if (!*alive || over_) return;
      if (result.succeeded()) return next(&Job::reload_old);
      undone("the action " + name + " failed with the old files too (exit code " + std::to_string(result.exit_code) +
             "): " + std::string(result.reason.empty() ? result.output : result.reason));
    });
  } catch (const sdk::Error& error) {
    undone("the action " + name + " cannot run: " + error.what());
  }
}

void Job::undone(const std::string& reload_fault) {
  const bool untouched = journal_.step == Step::staging;
  const std::string reason = journal_.reason;
  if (untouched && reason != "agent_restarted") return finish("failed", reason, journal_.detail);
  if (reload_fault.empty()) return finish("rolled_back", reason, journal_.detail);
  finish("failed", reason, journal_.detail + "; the old files are back, but " + reload_fault);
}

}  // namespace hawser::config_push

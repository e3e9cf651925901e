#include "job.hpp"

#include <time.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "diff.hpp"
#include "limits.hpp"
#include "refusal.hpp"

namespace hawser::config_push {
namespace {

// Goes on while the device sleeps; the host's timers do not.
std::chrono::seconds boot_time() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds(time.tv_sec);
}

}  // namespace

Job::Job(sdk::Context& host, std::string state_folder, const Allowed& allowed, Statuses& statuses, Finished finished)
    : host_(host),
      state_folder_(std::move(state_folder)),
      journal_path_(state_folder_ + "/journal.json"),
      allowed_(allowed),
      statuses_(statuses),
      finished_(std::move(finished)) {}

Job::~Job() {
  *alive_ = false;
  stop_waiting();
  host_.cancel(retry_timer_);
}

void Job::next(Method step) {
  host_.post([this, step, alive = alive_] {
    if (*alive && !over_) run(step);
  });
}

void Job::run(Method step) {
  try {
    (this->*step)();
  } catch (const Refusal& refusal) {
    fail(refusal.reason(), refusal.what());
  } catch (const std::exception& error) {  // the file system, the host
    fail("write_failed", error.what());
  }
}

// Where it went wrong decides what there is to put back.
void Job::fail(const std::string& reason, const std::string& detail) {
  if (undoing_) return could_not_put_back(detail);
  if (assembly_) return finish("rejected", reason, detail);
  if (order_.check_only) return finish("failed", reason, detail);
  undo(reason, detail);
}

void Job::enter(Step step) {
  journal_.step = step;
  journal_.save(journal_path_);
}

void Job::forget_journal() {
  sdk::remove_if_there(journal_path_);
  sdk::sync_folder(state_folder_);
  std::error_code ignored;
  std::filesystem::remove_all(state_folder_ + "/work", ignored);
}

void Job::finish(std::string_view state, std::string_view reason, std::string_view detail, std::string_view diff) {
  over_ = true;
  assembly_.reset();
  statuses_.add_once({journal_.revision, state, reason, detail, diff});
  // The end is noted before the journal goes: killed in between, the next start finds the journal and ends it once more;
  // the other way round it would take the revision for one that never began.
  finished_(journal_.revision, state);
  try {
    forget_journal();
  } catch (const std::exception& error) {
    host_.warn("the journal of a finished revision could not be removed", {{"error", error.what()}});
  }
}

// ---- assemble

void Job::begin(const Order& order, const Incoming& incoming, bool again) {
  order_ = order;
  incoming_ = &incoming;
  journal_.revision = order.revision;
  journal_.reload = order.reload;
  journal_.confirm_timeout_s = order.confirm_timeout_s;
  at_ = 1;
  if (!again) statuses_.new_revision();
  statuses_.add_once({order.revision, "received", {}, {}, {}});
  assembly_.emplace(state_folder_, allowed_);
  next(&Job::assemble);
}

void Job::assemble() {
  auto part = read_part(incoming_->payload(at_), true);
  if (const auto* fault = std::get_if<Fault>(&part)) throw Refusal("bad_payload", fault->detail);
  assembly_->add(std::get<Part>(part));
  next(++at_ <= order_.parts ? &Job::assemble : &Job::assembled);
}

void Job::assembled() {
  journal_.files = assembly_->finish();
  assembly_.reset();
  at_ = 0;
  if (order_.check_only) return next(&Job::diff);
  enter(Step::staging);
  next(&Job::stage);
}

// ---- check

void Job::diff() {
  if (at_ == journal_.files.size() || diff_.size() > kDiffBytesMax) {
    if (diff_.size() > kDiffBytesMax) diff_ = diff_.substr(0, kDiffBytesMax) + "\n... cut here, the diff is longer\n";
    return finish("checked", {}, {}, diff_);
  }
  const JournalFile& file = journal_.files[at_++];
  const std::string before = file.existed ? read_target(file.path, kRevisionBytesMax) : "";
  const std::string after = file.remove ? "" : sdk::read_file(file.content, kRevisionBytesMax).value_or("");
  if (file.existed && !file.remove && file.before.mode != file.after.mode) {
    char line[64];
    std::snprintf(line, sizeof line, "mode %04o -> %04o ", file.before.mode, file.after.mode);
    diff_ += line + file.path + "\n";
  }
  diff_ += unified_diff(file.existed ? file.path : "/dev/null", before, file.remove ? "/dev/null" : file.path, after);
  next(&Job::diff);
}

// ---- apply

void Job::stage() {
  if (at_ == journal_.files.size()) {
    at_ = 0;
    enter(Step::swapping);
    return next(&Job::swap);
  }
  const JournalFile& file = journal_.files[at_++];
  if (file.existed) sdk::write_file_atomically(file.backup, read_target(file.path, kRevisionBytesMax));
  if (!file.remove) config_push::stage(file.path, file.temporary, file.content, file.after);
  next(&Job::stage);
}

void Job::swap() {
  if (at_ == journal_.files.size()) {
    at_ = 0;
    journal_.reload_again = !journal_.reload.empty();
    enter(Step::reloading);
    return next(&Job::reload);
  }
  const JournalFile& file = journal_.files[at_++];
  look_at(file.path);  // refuses what became a link or a folder meanwhile
  if (file.remove) {
    remove_target(file.path);
  } else {
    swap_in(file.path, file.temporary);
  }
  next(&Job::swap);
}

void Job::reload() {
  if (at_ == journal_.reload.size()) return applied();
  const std::string name = journal_.reload[at_++];
  try {
    host_.run_action(name, [this, name, alive = alive_](const sdk::ActionResult& result) {
      if (*alive && !over_) reloaded(name, result);
    });
  } catch (const sdk::Error& error) {
    if (at_ == 1) journal_.reload_again = false;  // no action has seen the new files
    throw Refusal("reload_failed", "the action " + name + " cannot run: " + error.what());
  }
}

void Job::reloaded(const std::string& name, const sdk::ActionResult& result) {
  if (result.succeeded()) return next(&Job::reload);
  fail("reload_failed", "the action " + name + " failed (exit code " + std::to_string(result.exit_code) +
                            "): " + std::string(result.reason.empty() ? result.output : result.reason));
}

void Job::applied() {
  enter(Step::applied);
  const std::chrono::seconds timeout(journal_.confirm_timeout_s);
  confirm_timer_ = host_.after(timeout, [this] { not_confirmed(); });
  sleep_timer_ = host_.every(kSleepLook, [this, until = boot_time() + timeout] {
    if (boot_time() > until) not_confirmed();  // it slept meanwhile: who waits for it did not
  });
  applied_ticket_ = statuses_.add_once({journal_.revision, "applied", {}, {}, {}});
  ask_the_cloud();
}

void Job::not_confirmed() {
  undo("not_confirmed", "the cloud was not reached again within " + std::to_string(journal_.confirm_timeout_s) + " s");
}

void Job::stop_waiting() {
  for (sdk::Context::TimerId* timer : {&confirm_timer_, &sleep_timer_}) host_.cancel(std::exchange(*timer, 0));
}

// ---- confirm: a sign of life that was asked for after the reload, and the acknowledgement of "applied"

void Job::ask_the_cloud() {
  const auto timeout = std::chrono::seconds(journal_.confirm_timeout_s);
  try {
    host_.cloud_reached(timeout, [this, alive = alive_](bool reached, std::string_view) {
      if (!*alive || over_ || undoing_) return;
      cloud_reached_ = cloud_reached_ || reached;
      confirm_if_complete();  // when it was not reached the timer ends it
    });
  } catch (const sdk::Error& error) {
    // The acknowledgement was sent for after the reload too, and came from the cloud: it has to do alone.
    host_.warn("the host cannot tell whether the cloud is reached", {{"error", error.what()}});
    cloud_reached_ = true;
  }
}

void Job::acked() {
  if (journal_.step == Step::applied && !over_ && !undoing_) confirm_if_complete();
}

void Job::confirm_if_complete() {
  if (!cloud_reached_ || statuses_.is_waiting(applied_ticket_)) return;
  stop_waiting();
  run(&Job::confirmed);
}

void Job::confirmed() {
  if (journal_.step != Step::confirmed) enter(Step::confirmed);
  finish("confirmed");
}

}  // namespace hawser::config_push

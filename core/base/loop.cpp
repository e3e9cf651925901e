#include "core/base/loop.hpp"

#include <algorithm>
#include <vector>

namespace hawser {

void Loop::run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
    }
    turn(TimePoint::max());
  }
}

void Loop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  waker_.wake();
}

bool Loop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (posted_.size() >= kPostedMax) return false;
    posted_.push_back(std::move(task));
  }
  waker_.wake();
  return true;
}

Loop::TimerId Loop::add_timer(milliseconds delay, milliseconds period, Task task) {
  timers_[++last_id_] = {Clock::now() + std::max(delay, milliseconds{0}), period, std::move(task)};
  return last_id_;
}

Loop::TimerId Loop::after(milliseconds delay, Task task) { return add_timer(delay, milliseconds{0}, std::move(task)); }

Loop::TimerId Loop::every(milliseconds period, Task task) {
  const auto at_least = std::max(period, milliseconds{1});
  return add_timer(at_least, at_least, std::move(task));
}

void Loop::cancel(TimerId id) { timers_.erase(id); }

void Loop::watch(int fd, short events, Ready ready) { watches_[fd] = {events, ++last_id_, std::move(ready)}; }

void Loop::unwatch(int fd) { watches_.erase(fd); }

TimePoint Loop::next_due(TimePoint limit) const {
  for (const auto& [id, timer] : timers_) limit = std::min(limit, timer.due);
  return limit;
}

void Loop::turn(TimePoint limit) {
  std::vector<pollfd> descriptors;
  std::vector<std::uint64_t> generations;
  for (const auto& [fd, watch] : watches_) {
    descriptors.push_back({fd, watch.events, 0});
    generations.push_back(watch.generation);
  }
  bool waiting = false;
  {
    const std::lock_guard lock(mutex_);
    waiting = !posted_.empty() || stopped_;
  }
  const TimePoint until = waiting ? Clock::now() : next_due(limit);
  if (waker_.wait(descriptors, until) == Waker::Woke::Ready) {
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
      if (descriptors[i].revents == 0) continue;
      const auto found = watches_.find(descriptors[i].fd);
      if (found == watches_.end() || found->second.generation != generations[i]) continue;
      const Ready ready = found->second.ready;  // a copy: it may unwatch itself
      ready(descriptors[i].revents);
    }
  }
  run_posted();
  run_timers();
}

void Loop::run_posted() {
  std::deque<Task> now;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < kPostedPerTurn && !posted_.empty(); ++i) {
      now.push_back(std::move(posted_.front()));
      posted_.pop_front();
    }
  }
  for (auto& task : now) task();
}

void Loop::run_timers() {
  const TimePoint now = Clock::now();
  std::vector<std::pair<TimePoint, TimerId>> due;
  for (const auto& [id, timer] : timers_) {
    if (timer.due <= now) due.emplace_back(timer.due, id);
  }
  std::sort(due.begin(), due.end());
  for (const auto& [when, id] : due) {
    const auto found = timers_.find(id);
    if (found == timers_.end()) continue;  // cancelled by a task before it
    Timer& timer = found->second;
    const Task task = timer.task;
    if (timer.period.count() == 0) {
      timers_.erase(found);
    } else {
      timer.due += timer.period * ((now - timer.due) / timer.period + 1);
    }
    task();
  }
}

}  // namespace hawser

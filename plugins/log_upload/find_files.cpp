#include <glob.h>

#include <algorithm>

#include "log_upload.hpp"
#include "note.hpp"

namespace hawser::log_upload {

namespace {

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != text.npos; }

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::vector<std::string> glob_paths(const std::string& pattern, int flags) {
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), flags, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

}  // namespace

// ---- after a start: where the last instance got to

void LogUpload::take_up_positions() {
  Positions::Loaded loaded = positions_->load();
  first_start_ = loaded.first_start;
  if (loaded.damaged) {
    host_.warn("the file of positions was damaged and put aside: files are uploaded from their beginning");
  }
  for (const FilePtr& file : loaded.files) {
    if (take_up(file)) {
      follow(file);
    } else {
      host_.warn("a file of the last run is gone; what it had beyond the acknowledged part cannot be uploaded",
                 {{"path", file->path}, {"acknowledged", std::to_string(file->acked)}});
    }
  }
}

bool LogUpload::take_up(const FilePtr& file) {
  file->descriptor = find_again(file->path, file->inode, file->fingerprint);
  return static_cast<bool>(file->descriptor);
}

// ---- which files the patterns lead to now

std::vector<LogUpload::Match> LogUpload::matches() {
  std::vector<Match> found;
  for (const Source& source : sources_) {
    for (const std::string& pattern : source.paths) {
      const std::string folder = folder_of(pattern);
      if (has_wildcard(folder)) {
        for (const std::string& one : glob_paths(folder, GLOB_ONLYDIR)) watch_->watch_folder(one);
      } else {
        watch_->watch_folder(folder);
      }
      for (std::string& path : glob_paths(pattern, 0)) found.push_back({std::move(path), &source});
    }
  }
  return found;
}

void LogUpload::find_files() {
  std::vector<FilePtr> seen;
  const std::size_t before = files_.size();
  for (const Match& match : matches()) take_match(match, seen);
  bool changed = files_.size() != before;
  for (const FilePtr& file : files_) {
    if (std::find(seen.begin(), seen.end(), file) != seen.end()) continue;
    changed = changed || !file->rotated;
    lost_its_name(*file);
    if (file->quiet_timer == 0 && !file->finished && !file->abandoned) wait_until_quiet(file);
  }
  forget_done();
  if (changed) save();  // a file's id is on disk before anything of it is sent
}

void LogUpload::take_match(const Match& match, std::vector<FilePtr>& seen) {
  struct stat found {};
  if (::stat(match.path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return;
  if (const FilePtr file = known(inode_of(found))) {
    if (!file->finished && std::find(seen.begin(), seen.end(), file) == seen.end()) {
      file->path = match.path;
      file->rotated = false;
      host_.cancel(file->quiet_timer);
      file->quiet_timer = 0;
      seen.push_back(file);
    }
    return;
  }
  if (files_.size() >= kFilesMax) {
    if (!too_many_said_) host_.warn("more than 256 files match; the rest is not followed", {{"path", match.path}});
    too_many_said_ = true;
    return;
  }
  auto file = std::make_shared<File>();
  file->descriptor = open_regular(match.path, found);
  if (!file->descriptor) {
    host_.warn("a file cannot be opened", {{"path", match.path}});
    return;
  }
  file->source = match.source->name;
  file->path = match.path;
  file->inode = inode_of(found);
  file->id = new_file_id(file->inode);
  file->fingerprint = take_fingerprint(file->descriptor.get(), kFingerprintBytesMax);
  if (first_start_ && match.source->from_end) file->acked = file->sent = static_cast<std::uint64_t>(found.st_size);
  for (const FilePtr& other : files_) {
    if (other->path == file->path && !other->finished) file->predecessor = other;
  }
  follow(file);
  seen.push_back(file);
}

LogUpload::FilePtr LogUpload::known(const Inode& inode) const {
  const auto at = std::find_if(files_.begin(), files_.end(), [&](const FilePtr& file) { return file->inode == inode; });
  return at == files_.end() ? nullptr : *at;
}

LogUpload::FilePtr LogUpload::known_id(std::string_view file_id) const {
  const auto at = std::find_if(files_.begin(), files_.end(), [&](const FilePtr& file) { return file->id == file_id; });
  return at == files_.end() ? nullptr : *at;
}

void LogUpload::follow(const FilePtr& file) {
  file->watch = watch_->watch_file(file->descriptor.get(), file->path);
  files_.push_back(file);
}

// ---- files that lost their name

void LogUpload::lost_its_name(File& file) {
  file.abandoned =
      std::none_of(sources_.begin(), sources_.end(), [&](const Source& source) { return source.name == file.source; });
  if (file.rotated) return;
  file.rotated = true;
  host_.debug("a file was rotated, removed or is no longer asked for", {{"path", file.path}});
}

void LogUpload::wait_until_quiet(const FilePtr& file) {
  const std::uint64_t size = size_of(*file);
  file->quiet_timer = host_.after(kRotatedQuiet, [this, file, size] {
    file->quiet_timer = 0;
    if (size_of(*file) != size) return wait_until_quiet(file);
    file->finished = true;  // send_some() sends a last line without newline now
    send_all();
    forget_done();
    save();
  });
}

void LogUpload::forget_done() {
  std::erase_if(files_, [this](const FilePtr& file) {
    if (!file->abandoned && (!file->done() || size_of(*file) > file->sent)) return false;
    forget(*file);
    return true;
  });
}

void LogUpload::forget(File& file) {
  host_.cancel(file.quiet_timer);
  watch_->forget(file.watch);
  file.descriptor.reset();
}

}  // namespace hawser::log_upload

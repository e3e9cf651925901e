#include "core/control/shell_grammar.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <vector>

#include "core/base/encoding.hpp"
#include "core/config/rules.hpp"

namespace hawser::control {
namespace {

using Words = std::vector<std::string>;
using View = ShellView;
using Action = ShellAction;

// A word in capitals stands for an argument; OPTIONS, at the end, for [ port P ] [ vpn-instance V ] [ source-ip A ].
struct Form {
  const char* words;
  Action action;
  View view;
};

constexpr Form kForms[] = {
    {"system-view", Action::SystemView, View::User},
    {"quit", Action::Quit, View::User},
    {"return", Action::Return, View::User},
    {"display cloud-management state", Action::DisplayState, View::User},
    {"reset cloud-management tunnel", Action::ResetTunnel, View::User},
    {"cloud-management server domain DOMAIN OPTIONS", Action::Server, View::System},
    {"cloud-management backup-server domain DOMAIN OPTIONS", Action::BackupServer, View::System},
    {"cloud-management keepalive NUMBER", Action::KeepaliveInterval, View::System},
    {"cloud-management keepalive interval NUMBER", Action::KeepaliveInterval, View::System},
    {"cloud-management keepalive count NUMBER", Action::KeepaliveCount, View::System},
    {"cloud-management ping NUMBER", Action::PingInterval, View::System},
    {"cloud-management ping interval NUMBER", Action::PingInterval, View::System},
    {"cloud-management server port NUMBER", Action::ServerPort, View::System},
    {"cloud-management server password cipher STRING", Action::PasswordCipher, View::System},
    {"cloud-management server password simple STRING", Action::PasswordSimple, View::System},
    {"cloud-management unbinding-code CODE", Action::Unbind, View::System},
    {"undo cloud-management server domain", Action::UndoServer, View::System},
    {"undo cloud-management server domain DOMAIN", Action::UndoServer, View::System},
    {"undo cloud-management backup-server domain DOMAIN", Action::UndoBackupServer, View::System},
    {"undo cloud-management backup-server domain DOMAIN port NUMBER", Action::UndoBackupServer, View::System},
    {"undo cloud-management keepalive", Action::UndoKeepaliveInterval, View::System},
    {"undo cloud-management keepalive interval", Action::UndoKeepaliveInterval, View::System},
    {"undo cloud-management keepalive count", Action::UndoKeepaliveCount, View::System},
    {"undo cloud-management ping", Action::UndoPingInterval, View::System},
    {"undo cloud-management ping interval", Action::UndoPingInterval, View::System},
    {"undo cloud-management server port", Action::UndoServerPort, View::System},
    {"undo cloud-management server password", Action::UndoPassword, View::System},
};

constexpr const char* kOptionKeywords[] = {"port", "vpn-instance", "source-ip"};

Words split(std::string_view text) {
  std::istringstream in{std::string(text)};
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

bool is_argument(const std::string& word) { return std::isupper(static_cast<unsigned char>(word[0])) != 0; }

bool shortens(const std::string& typed, std::string_view keyword) {
  return typed.size() <= keyword.size() && std::equal(typed.begin(), typed.end(), keyword.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

bool fits(const std::string& typed, const std::string& word) {
  if (word == "NUMBER") return std::isdigit(static_cast<unsigned char>(typed[0])) != 0 || typed[0] == '-';
  return is_argument(word) || shortens(typed, word);
}

// How a form meets the typed words.
struct Match {
  const Form* form = nullptr;
  std::size_t agreeing = 0;  // words from the beginning that fit
  std::size_t exact = 0;     // of the keywords, those that were not shortened
  bool complete = false;     // but for the options
};

Match match(const Form& form, const Words& typed) {
  Match result{&form, 0, 0, false};
  Words words = split(form.words);
  const bool options = words.back() == "OPTIONS";
  if (options) words.pop_back();
  while (result.agreeing < std::min(words.size(), typed.size()) &&
         fits(typed[result.agreeing], words[result.agreeing])) {
    if (typed[result.agreeing] == words[result.agreeing]) ++result.exact;
    ++result.agreeing;
  }
  result.complete = result.agreeing == words.size() && (options || typed.size() == words.size());
  return result;
}

// As the guide writes it.
std::string shown(const Form& form) {
  std::string text;
  for (const auto& word : split(form.words)) {
    text += text.empty() ? "" : " ";
    if (word == "DOMAIN") text += "domain-name";
    if (word == "NUMBER") text += "number";
    if (word == "STRING") text += "string";
    if (word == "CODE") text += "code";
    if (word == "OPTIONS") text += "[ port port-number ] [ vpn-instance vpn-instance-name ] [ source-ip ipv4-address ]";
    if (!is_argument(word)) text += word;
  }
  return text;
}

// Of the forms that agree longest, the one whose next word is nearest to what was typed there.
const Form& nearest_form(const std::vector<Match>& matches, const Words& typed) {
  std::size_t longest = 0;
  for (const Match& one : matches) longest = std::max(longest, one.agreeing);
  Words next;
  const Form* first = nullptr;
  for (const Match& one : matches) {
    if (one.agreeing != longest) continue;
    if (!first) first = one.form;
    const Words words = split(one.form->words);
    next.push_back(longest < words.size() ? words[longest] : "");
  }
  const std::string near = longest < typed.size() ? config::nearest(typed[longest], next) : "";
  for (const Match& one : matches) {
    if (near.empty() || one.agreeing != longest) continue;
    if (const Words words = split(one.form->words); longest < words.size() && words[longest] == near) return *one.form;
  }
  return *first;
}

Error not_understood(const std::vector<Match>& matches, const Words& typed) {
  const Form& near = nearest_form(matches, typed);
  const std::size_t agreeing = match(near, typed).agreeing;
  std::string problem = "the command is not complete";
  if (agreeing < typed.size()) {
    const bool secret = std::any_of(typed.begin(), typed.begin() + static_cast<std::ptrdiff_t>(agreeing),
                                    [](const std::string& word) { return word[0] == 'p' || word[0] == 'P'; });
    problem = secret ? "the words are no command" : "\"" + printable(typed[agreeing], 64) + "\" is not understood here";
  }
  return {"unknown_command", problem + "; the nearest command is: " + shown(near)};
}

Status read_options(const Words& typed, std::size_t at, ShellCommand& command) {
  std::string* const places[] = {&command.port, &command.vpn_instance, &command.source_ip};
  for (; at < typed.size(); at += 2) {
    std::size_t which = 0;
    while (which < std::size(kOptionKeywords) && !shortens(typed[at], kOptionKeywords[which])) ++which;
    if (which == std::size(kOptionKeywords))
      return Error{"unknown_command", "\"" + printable(typed[at], 64) +
                                          "\" is not understood here; there are: port port-number, vpn-instance "
                                          "vpn-instance-name, source-ip ipv4-address"};
    if (!places[which]->empty())
      return Error{"bad_request", std::string(kOptionKeywords[which]) + " stands twice; once is enough"};
    if (at + 1 == typed.size())
      return Error{"bad_request", std::string(kOptionKeywords[which]) + " needs a value behind it"};
    *places[which] = typed[at + 1];
  }
  return ok();
}

Result<ShellCommand> understand(const Words& typed) {
  std::vector<Match> matches;
  for (const Form& form : kForms) matches.push_back(match(form, typed));
  const Match* best = nullptr;
  bool clear = true;
  for (const Match& one : matches) {
    if (!one.complete) continue;
    const auto rank = [](const Match& m) { return std::pair(m.exact, m.agreeing); };
    if (best && rank(one) == rank(*best) && one.form->action != best->form->action) clear = false;
    if (best && rank(one) <= rank(*best)) continue;
    if (best && rank(one) > rank(*best)) clear = true;
    best = &one;
  }
  if (!best) return not_understood(matches, typed);
  if (!clear) return Error{"unknown_command", "shortened too far: it could be: " + shown(*best->form)};
  ShellCommand command;
  command.action = best->form->action;
  command.needs_system_view = best->form->view == View::System;
  const Words words = split(best->form->words);
  for (std::size_t i = 0; i < best->agreeing; ++i) {
    if (!is_argument(words[i])) continue;
    (command.value.empty() ? command.value : command.port) = typed[i];
  }
  if (auto read = read_options(typed, best->agreeing, command); !read) return read.error();
  return command;
}

// No-break spaces come along when the guide is copied from a browser.
std::string plain(std::string_view line) {
  std::string text(line);
  for (std::size_t at = 0; (at = text.find("\xc2\xa0", at)) != std::string::npos;) text.replace(at, 2, " ");
  text.erase(0, text.find_first_not_of(" \t"));
  return text;
}

}  // namespace

Result<ShellCommand> parse_shell_line(std::string_view line) {
  if (line.size() > kShellLineBytesMax)
    return Error{"bad_request", "the line is longer than " + std::to_string(kShellLineBytesMax) + " bytes"};
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // in front of a file that some editors wrote
  if (line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  std::string text = plain(line);
  std::optional<View> prompt;
  if (!text.empty() && (text[0] == '<' || text[0] == '[')) {
    const auto end = text.find(text[0] == '<' ? '>' : ']');
    if (end != std::string::npos) {
      prompt = text[0] == '<' ? View::User : View::System;
      text = plain(text.substr(end + 1));
    }
  }
  const Words typed = text.empty() || text[0] == '#' ? Words() : split(text);
  Result<ShellCommand> command = typed.empty() ? ShellCommand() : understand(typed);
  if (command) command->prompt = prompt;
  return command;
}

}  // namespace hawser::control

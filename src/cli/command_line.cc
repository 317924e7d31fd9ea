#include "cli/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <optional>
#include <ostream>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::cli {
namespace {

using Path = std::vector<const Command*>;  // from the root to the command

const Command* FindChild(const Command& group, const std::string& name) {
  for (const Command& child : group.children) {
    if (child.name == name || std::ranges::find(child.aliases, name) != child.aliases.end())
      return &child;
  }
  return nullptr;
}

std::string PathName(const Path& path) {
  std::vector<std::string> names;
  for (const Command* command : path) names.push_back(command->name);
  return base::Join(names, " ");
}

bool IsFlag(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

// Whether a flag takes the next word as its value.
bool TakesNext(const Path& path, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  for (const Command* command : path) {
    for (const Flag& flag : command->flags) {
      const bool is_it = word == "--" + flag.name ||
                         (flag.letter != 0 && word.size() == 2 && word[1] == flag.letter);
      if (is_it) return !std::holds_alternative<bool*>(flag.target) && flag.bare.empty();
    }
  }
  return false;
}

struct Found {
  Path path;
  Strings words;  // flags and arguments
};

Found FindCommand(const Command& root, const Strings& args) {
  Found found{.path = {&root}, .words = {}};
  bool names = true;  // the next word without a dash may be the name of a command
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    if (names && word == "--") names = false;
    if (names && !IsFlag(word)) {
      if (const Command* child = FindChild(*found.path.back(), word)) {
        found.path.push_back(child);
        continue;
      }
      names = false;
    }
    found.words.push_back(word);
    if (IsFlag(word) && TakesNext(found.path, word) && i + 1 < args.size()) {
      found.words.push_back(args[++i]);
    }
  }
  return found;
}

std::string_view TypeName(const Flag::Target& target) {
  struct Visitor {
    std::string_view operator()(std::string*) { return "string"; }
    std::string_view operator()(bool*) { return ""; }
    std::string_view operator()(int64_t*) { return "int"; }
    std::string_view operator()(StringMap*) { return "stringToString"; }
    std::string_view operator()(Strings*) { return "strings"; }
  };
  return std::visit(Visitor(), target);
}

std::string DefaultText(const Flag::Target& target) {
  if (auto* const* text = std::get_if<std::string*>(&target); text && !(**text).empty()) {
    return base::Format(" (default \"{}\")", **text);
  }
  return "";
}

void PrintFlags(const std::vector<Flag>& flags, std::ostream& out) {
  std::vector<std::pair<std::string, std::string>> rows;
  size_t width = 0;
  for (const Flag& flag : flags) {
    std::string left = flag.letter != 0 ? base::Format("  -{}, --{}", flag.letter, flag.name)
                                        : base::Format("      --{}", flag.name);
    if (const auto type = TypeName(flag.target); !type.empty()) left += base::Format(" {}", type);
    if (!flag.bare.empty()) left += base::Format("[=\"{}\"]", flag.bare);
    width = std::max(width, left.size());
    std::string right = flag.help;
    if (!flag.values.empty()) right += ": one of " + base::Join(flag.values, "|");
    rows.emplace_back(std::move(left), right + DefaultText(flag.target));
  }
  for (const auto& [left, right] : rows) {
    out << left << std::string(width - left.size() + 3, ' ') << right << "\n";
  }
}

void PrintUsage(const Path& path, std::ostream& out) {
  const Command& command = *path.back();
  out << "Usage:\n  " << PathName(path);
  if (!command.run) {
    out << " [command]\n\nAvailable Commands:\n";
    size_t width = 11;
    for (const Command& child : command.children) width = std::max(width, child.name.size());
    for (const Command& child : command.children) {
      out << "  " << child.name << std::string(width - child.name.size() + 1, ' ') << child.help
          << "\n";
    }
  } else {
    if (!command.arguments.empty()) out << " " << command.arguments;
    out << " [flags]\n";
  }
  if (!command.aliases.empty())
    out << "\nAliases:\n  " << command.name << ", " << base::Join(command.aliases, ", ") << "\n";
  if (!command.example.empty()) out << "\nExamples:\n" << command.example << "\n";
  out << "\nFlags:\n";
  bool help = false;
  std::vector<Flag> flags = command.flags;
  flags.push_back({.name = "help",
                   .letter = 'h',
                   .help = base::Format("help for {}", command.name),
                   .target = &help});
  PrintFlags(flags, out);
  std::vector<Flag> global;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    global.insert(global.end(), path[i]->flags.begin(), path[i]->flags.end());
  }
  if (!global.empty()) {
    out << "\nGlobal Flags:\n";
    PrintFlags(global, out);
  }
  if (!command.run) {
    out << "\nUse \"" << PathName(path)
        << " [command] --help\" for more information about a command.\n";
  }
}

Strings ChildNames(const Command& command) {
  Strings names;
  for (const Command& child : command.children) names.push_back(child.name);
  return names;
}

// Insertions, deletions, replacements and swaps of neighbours that make one word of the other.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> steps(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        steps[i][j] = i + j;
        continue;
      }
      steps[i][j] = std::min({steps[i - 1][j] + 1, steps[i][j - 1] + 1,
                              steps[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        steps[i][j] = std::min(steps[i][j], steps[i - 2][j - 2] + 1);
    }
  }
  return steps[a.size()][b.size()];
}

// "Did you mean this?" and the names, or nothing.
std::string Suggestion(const std::string& word, const Command& group) {
  const Strings names = Nearest(word, ChildNames(group));
  return names.empty() ? "" : "\nDid you mean this?\n\t" + base::Join(names, "\n\t") + "\n";
}

// The candidates that begin so.
using Candidates = std::vector<std::pair<std::string, std::string>>;
Candidates Beginning(std::string_view prefix, const Strings& values, const std::string& before) {
  Candidates candidates;
  for (const std::string& value : values) {
    if (value.starts_with(prefix)) candidates.emplace_back(before + value, "");
  }
  return candidates;
}

const Flag* FindFlag(const Path& path, std::string_view word) {
  for (const Command* command : path) {
    for (const Flag& flag : command->flags) {
      if (word == "--" + flag.name ||
          (flag.letter != 0 && word.size() == 2 && word[0] == '-' && word[1] == flag.letter))
        return &flag;
    }
  }
  return nullptr;
}

int WrongUse(const Path& path, const std::string& error, std::ostream& err) {
  err << "Error: " << error << "\n";
  PrintUsage(path, err);
  err << "\n";
  return 1;
}

// "a=b,c=d" into pairs; a part without '=' continues the value before it.
std::optional<std::string> AddPairs(const std::string& text, StringMap& pairs) {
  bool first = true;
  for (const std::string& part : base::Split(text, ',')) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos) {
      if (first) return base::Format("{} must be formatted as key=value", part);
      pairs.back().second += "," + part;
    } else {
      pairs.emplace_back(part.substr(0, equals), part.substr(equals + 1));
    }
    first = false;
  }
  return std::nullopt;
}

// Puts the words given for one flag into its target; an error text if they do not fit.
std::optional<std::string> Store(const Flag& flag, const Strings& given) {
  struct Visitor {
    const Strings& given;
    std::optional<std::string> operator()(std::string* target) {
      *target = given.back();
      return std::nullopt;
    }
    std::optional<std::string> operator()(bool*) { return std::nullopt; }
    std::optional<std::string> operator()(int64_t* target) {
      const auto number = base::ParseInt(given.back());
      if (!number) return base::Format("\"{}\" is not a number", given.back());
      *target = *number;
      return std::nullopt;
    }
    std::optional<std::string> operator()(StringMap* target) {
      for (const std::string& text : given) {
        if (auto error = AddPairs(text, *target)) return error;
      }
      return std::nullopt;
    }
    std::optional<std::string> operator()(Strings* target) {
      for (const std::string& text : given) {
        for (std::string& part : base::Split(text, ',')) target->push_back(std::move(part));
      }
      return std::nullopt;
    }
  };
  auto error = std::visit(Visitor{given}, flag.target);
  if (error)
    return base::Format("invalid argument \"{}\" for \"--{}\" flag: {}", given.back(), flag.name,
                        *error);
  return std::nullopt;
}

struct Parsed {
  std::optional<std::string> error;
  bool help = false;
  Strings arguments;
};

Parsed ParseFlags(const Path& path, Strings words) {
  Parsed parsed;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", parsed.help);
  struct Seen {
    const Flag* flag;
    CLI::Option* option;
  };
  std::vector<Seen> seen;
  for (const Command* command : path) {
    for (const Flag& flag : command->flags) {
      if (!flag.bare.empty()) {
        const auto end = std::ranges::find(words, "--");
        std::replace(words.begin(), end, "--" + flag.name, "--" + flag.name + "=" + flag.bare);
      }
      std::string names = "--" + flag.name;
      if (flag.letter != 0) names += std::string(",-") + flag.letter;
      if (auto* const* boolean = std::get_if<bool*>(&flag.target)) {
        app.add_flag(names, **boolean)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
        seen.push_back({&flag, nullptr});
      } else {
        seen.push_back(
            {&flag, app.add_option(names)->expected(1)->take_all()->allow_extra_args(false)});
      }
    }
  }
  const bool wants_all_words = std::ranges::find(words, "--") != words.end();
  try {
    std::ranges::reverse(words);
    app.parse(std::move(words));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string name = base::Split(error.what(), ':').front();
    parsed.error = base::Format("flag needs an argument: {}", name);
    return parsed;
  } catch (const CLI::ParseError& error) {
    parsed.error = error.what();
    return parsed;
  }
  for (const std::string& word : app.remaining()) {
    if (IsFlag(word) && !wants_all_words) {
      parsed.error = word[1] == '-'
                         ? base::Format("unknown flag: {}", base::Split(word, '=').front())
                         : base::Format("unknown shorthand flag: '{}' in {}", word[1], word);
      return parsed;
    }
    if (word != "--") parsed.arguments.push_back(word);
  }
  if (parsed.help) return parsed;
  std::vector<std::string> missing;
  for (const auto& [flag, option] : seen) {
    if (option == nullptr) continue;
    if (option->count() > 0) {
      if ((parsed.error = Store(*flag, option->results()))) return parsed;
    } else if (flag->required) {
      missing.push_back(base::Format("\"{}\"", flag->name));
    }
  }
  if (!missing.empty()) {
    parsed.error = base::Format("required flag(s) {} not set", base::Join(missing, ", "));
  }
  return parsed;
}

std::optional<std::string> CheckArguments(const Path& path, const Strings& arguments) {
  const Command& command = *path.back();
  const auto count = [](std::string_view words) {
    words = base::Trim(words);
    return words.empty() ? 0 : base::Split(words, ' ').size();
  };
  const size_t wanted = count(command.arguments);
  const size_t least = count(command.arguments.substr(0, command.arguments.find('[')));
  if (arguments.size() >= least && arguments.size() <= wanted) return std::nullopt;
  if (wanted == 0) {
    return base::Format("unknown command \"{}\" for \"{}\"", arguments.front(), PathName(path));
  }
  if (least != wanted) {
    return base::Format("accepts between {} and {} arg(s), received {}", least, wanted,
                        arguments.size());
  }
  return base::Format("accepts {} arg(s), received {}", wanted, arguments.size());
}

}  // namespace

int RunCommandLine(const Command& root, const Strings& args, std::ostream& out, std::ostream& err) {
  const Found found = FindCommand(root, args);
  const Command& command = *found.path.back();
  const Parsed parsed = ParseFlags(found.path, found.words);
  if (!command.run) {
    if (parsed.error) return WrongUse(found.path, *parsed.error, err);
    if (found.path.size() == 1 && !parsed.arguments.empty()) {
      const std::string suggestion = Suggestion(parsed.arguments.front(), root);
      err << base::Format(
          "Error: unknown command \"{}\" for \"{}\"\n{}{}Run '{} --help' for usage.\n",
          parsed.arguments.front(), root.name, suggestion, suggestion.empty() ? "" : "\n",
          root.name);
      return 1;
    }
  }
  if (parsed.help || !command.run) {
    out << command.help << "\n\n";
    PrintUsage(found.path, out);
    if (!command.run && !parsed.arguments.empty())
      out << Suggestion(parsed.arguments.front(), command);
    return 0;
  }
  if (parsed.error) return WrongUse(found.path, *parsed.error, err);
  if (const auto error = CheckArguments(found.path, parsed.arguments)) {
    return WrongUse(found.path, *error, err);
  }
  const base::Status status = command.run(parsed.arguments);
  if (status.has_value()) return 0;
  out.flush();
  err << "Error: " << status.error().message() << "\n";
  return 1;
}

Strings Nearest(const std::string& word, const Strings& names) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& name : names) {
    const size_t distance = EditDistance(base::ToLower(word), name);
    const bool begins = word.size() > 2 && name.starts_with(base::ToLower(word));
    if (begins || distance <= std::min<size_t>(2, word.size() / 2))
      near.emplace_back(distance, name);
  }
  std::ranges::sort(near);
  Strings nearest;
  for (const auto& [distance, name] : near) {
    if (nearest.size() < 3) nearest.push_back(name);
  }
  return nearest;
}

Candidates CompleteCommandLine(const Command& root, const Strings& words) {
  if (words.empty()) return {};
  const std::string& word = words.back();
  const Found found = FindCommand(root, Strings(words.begin(), words.end() - 1));
  const Command& command = *found.path.back();
  if (words.size() > 1) {
    const std::string& before = words[words.size() - 2];
    if (IsFlag(before) && TakesNext(found.path, before)) {
      const Flag* flag = FindFlag(found.path, before);
      return Beginning(word, flag->values, "");
    }
  }
  if (const size_t equals = word.find('='); IsFlag(word) && equals != std::string::npos) {
    const Flag* flag = FindFlag(found.path, word.substr(0, equals));
    if (flag == nullptr) return {};
    return Beginning(word.substr(equals + 1), flag->values, word.substr(0, equals + 1));
  }
  Candidates candidates;
  if (word.starts_with('-')) {
    for (const Command* part : found.path) {
      for (const Flag& flag : part->flags) {
        if (("--" + flag.name).starts_with(word))
          candidates.emplace_back("--" + flag.name, flag.help);
      }
    }
    if (std::string("--help").starts_with(word)) candidates.emplace_back("--help", "show help");
    return candidates;
  }
  size_t arguments = 0;
  for (size_t i = 0; i < found.words.size(); ++i) {
    if (!IsFlag(found.words[i]))
      ++arguments;
    else if (TakesNext(found.path, found.words[i]))
      ++i;
  }
  if (arguments > 0) return {};
  for (const Command& child : command.children) {
    if (child.name.starts_with(word)) candidates.emplace_back(child.name, child.help);
  }
  for (auto& value : Beginning(word, command.first_argument, ""))
    candidates.push_back(std::move(value));
  return candidates;
}

}  // namespace kuma::cli

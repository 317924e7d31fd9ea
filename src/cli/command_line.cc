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
      if (is_it) return !std::holds_alternative<bool*>(flag.target);
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
    width = std::max(width, left.size());
    rows.emplace_back(std::move(left), flag.help + DefaultText(flag.target));
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
  if (!command.flags.empty()) {
    out << "\nFlags:\n";
    PrintFlags(command.flags, out);
  }
  std::vector<Flag> global;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    global.insert(global.end(), path[i]->flags.begin(), path[i]->flags.end());
  }
  if (!global.empty()) {
    out << "\nGlobal Flags:\n";
    PrintFlags(global, out);
  }
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
  const size_t wanted = command.arguments.empty() ? 0 : base::Split(command.arguments, ' ').size();
  if (arguments.size() == wanted) return std::nullopt;
  if (wanted == 0) {
    return base::Format("unknown command \"{}\" for \"{}\"", arguments.front(), PathName(path));
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
      err << base::Format("Error: unknown command \"{}\" for \"{}\"\nRun '{} --help' for usage.\n",
                          parsed.arguments.front(), root.name, root.name);
      return 1;
    }
  }
  if (parsed.help || !command.run) {
    out << command.help << "\n\n";
    PrintUsage(found.path, out);
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

}  // namespace kuma::cli

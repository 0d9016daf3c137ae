// temporary_folder.hpp - a folder that is there for one test, with a short path (unix sockets end at 107 bytes).
#pragma once

#include <filesystem>
#include <string_view>

namespace recto {

class TemporaryFolder {
public:
    TemporaryFolder() : TemporaryFolder(std::filesystem::temp_directory_path()) {}
    explicit TemporaryFolder(const std::filesystem::path& parent);
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

// Where there is no disk to wait for: for what the program keeps in /run.
[[nodiscard]] std::filesystem::path in_memory();

}  // namespace recto

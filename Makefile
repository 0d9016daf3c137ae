# make               build/recto.fcgi (answers requests) and build/recto (the operator's program)
# make run           sets everything up and serves a sample blog on http://127.0.0.1:8080/ until Ctrl-C
#                    PORT=8080 WORKERS=2 DATA=build/run
# make test          sets everything up and runs every test; make test T=throttle runs the files of that name
#                    CORPUS=dir adds a folder of real posts
# make boot-test     installs into a Debian that a real systemd boots (systemd-nspawn), and tries the units; as root, some minutes
# make asan tsan     the tests under AddressSanitizer and UndefinedBehaviorSanitizer, under ThreadSanitizer
# make fuzz          libFuzzer on each parser of what comes from outside: FUZZ_SECONDS=60 for each, T=entry for one
# make lint          clang-tidy, the rules of the folders, the syntax of the scripts
# make model         the models of the change clock, searched far (minutes, 4 GB); make test has the short searches
# make bench         requests per second against a bare FastCGI responder, in one run
# make install       PREFIX=/usr/local DESTDIR=   installs; what it finds in /etc stays as it is
# make clean         removes build/
# make help          prints these lines
#
# Each installs the packages it misses (etc/packages.txt), as root or through sudo.

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --no-print-directory -j$(shell nproc)
endif
BUILD    ?= build
CXXFLAGS ?= -O2 -g
STANDARD := -std=c++20 -pthread
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wimplicit-fallthrough -Werror
DEFINES  := -DBOOST_LOG_DYN_LINK -DBOOST_TEST_DYN_LINK -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
LIBS     := -lmemcached -lboost_log -lboost_thread -lboost_json -linih -lsqlite3 -lsodium \
            -lcmark-gfm -lcmark-gfm-extensions -lyaml-cpp -licui18n -licuuc -ldeflate -lz

# A folder is a layer. Modules see modules/ only, so one that reaches for fcgi/ doesn't compile.
MODULE_SOURCES  := $(filter-out modules/command/%,$(wildcard modules/*/*.cpp))
COMMAND_SOURCES := $(wildcard modules/command/*.cpp)
FCGI_SOURCES    := $(wildcard fcgi/*.cpp)
SUPPORT_SOURCES := $(wildcard tests/support/*.cpp)
UNIT_SOURCES    := $(wildcard tests/unit/*_test.cpp)
SERVICE_SOURCES := $(wildcard tests/service/*_test.cpp)

objects = $(patsubst %.cpp,$(BUILD)/%.o,$(1))
program = $(patsubst tests/%.cpp,$(BUILD)/tests/%,$(1))

PROGRAMS := $(BUILD)/recto.fcgi $(BUILD)/recto
BENCHES  := $(call program,$(wildcard tests/bench/*.cpp))
FUZZERS  := $(call program,$(wildcard tests/fuzz/*_fuzz.cpp))
TESTS    := $(call program,$(UNIT_SOURCES) $(SERVICE_SOURCES)) $(wildcard tests/service/*_test.sh)
T        ?=
CHOSEN   := $(if $(T),$(filter %/$(T)_test %/$(T)_test.sh,$(TESTS)),$(TESTS))
SERVED   := $(if $(findstring tests/service/,$(CHOSEN)),$(PROGRAMS))

PORT     ?= 8080
WORKERS  ?= 2
DATA     ?= build/run
PREFIX   ?= /usr/local
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZING  := $(SANITIZE) -fsanitize=fuzzer-no-link
export BUILD PORT WORKERS DATA PREFIX DESTDIR CORPUS

all: $(PROGRAMS)
run: packages-run all
	@etc/dev/run
test: packages-run packages-test $(SERVED) $(CHOSEN)
	@tests/run $(CHOSEN)
boot-test: all
	@tests/boot/run
asan:
	TEST_TIMEOUT=1800 UBSAN_OPTIONS=print_stacktrace=1 $(MAKE) test BUILD=build/asan CXXFLAGS='-O1 -g $(SANITIZE) -Wno-maybe-uninitialized' LDFLAGS='$(SANITIZE)'
tsan:
	TEST_TIMEOUT=1800 TSAN_OPTIONS=die_after_fork=0 $(MAKE) test BUILD=build/tsan CXXFLAGS='-O1 -g -fsanitize=thread -Wno-tsan' LDFLAGS='-fsanitize=thread'
fuzz:
	$(MAKE) fuzzers BUILD=build/fuzz CXX=clang++-16 CXXFLAGS='-O1 -g $(FUZZING) -Wno-error' LDFLAGS='$(SANITIZE) -fsanitize=fuzzer'
	@BUILD=build/fuzz tests/fuzz/run
fuzzers: packages-fuzz $(FUZZERS)
lint: packages-build packages-lint
	@etc/dev/lint
model: packages-test
	@tests/model/run full
bench: packages-bench all $(BENCHES)
	@tests/bench/run
install: all
	@etc/dev/install

$(BUILD)/recto.fcgi: $(call objects,$(FCGI_SOURCES)) $(BUILD)/generated/build_id.o $(BUILD)/librecto.a
	$(link)
$(BUILD)/recto: $(call objects,$(COMMAND_SOURCES)) $(BUILD)/generated/build_id.o $(BUILD)/librecto.a
	$(link)
$(BUILD)/tests/%_test: $(BUILD)/tests/%_test.o $(BUILD)/generated/build_id.o $(BUILD)/libtests.a $(BUILD)/libfcgi-layer.a $(BUILD)/librecto.a
	@mkdir -p $(@D)
	$(link) -lboost_unit_test_framework -lboost_filesystem

# Functions keep their names: request.hung shows a stack.
link = $(CXX) $(STANDARD) $(CXXFLAGS) -rdynamic $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

$(BUILD)/librecto.a: $(call objects,$(MODULE_SOURCES)) $(BUILD)/generated/migrations.o
$(BUILD)/libfcgi-layer.a: $(call objects,$(filter-out fcgi/main.cpp,$(FCGI_SOURCES)))
$(BUILD)/libtests.a: $(call objects,$(SUPPORT_SOURCES))
$(BUILD)/%.a:
	@mkdir -p $(@D)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/modules/%.o: INCLUDES := -Imodules
$(BUILD)/generated/%.o: INCLUDES := -Imodules
$(BUILD)/fcgi/%.o: INCLUDES := -Imodules -I.
$(BUILD)/tests/%.o: INCLUDES := -Imodules -I.
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/generated/build_id.o $(BUILD)/libtests.a $(BUILD)/libfcgi-layer.a $(BUILD)/librecto.a
	$(link)
$(BUILD)/tests/bench/bare_responder: LIBS += -lfcgi
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/generated/build_id.o $(BUILD)/libtests.a $(BUILD)/libfcgi-layer.a $(BUILD)/librecto.a
	$(link)
$(BUILD)/%.o: %.cpp | packages-build
	@mkdir -p $(@D)
	$(CXX) $(STANDARD) $(WARNINGS) $(DEFINES) $(INCLUDES) -MMD -MP $(CPPFLAGS) $(CXXFLAGS) -c -o $@ $<

packages-build packages-run packages-test packages-lint packages-bench packages-fuzz: packages-%:
	@etc/dev/packages $*

# The SQL that the program carries inside itself.
$(BUILD)/generated/migrations.cpp: $(sort $(wildcard modules/store/migrations/*.sql)) modules/store/triggers.sql
	@mkdir -p $(@D)
	@{ echo '#include "store/schema.hpp"'; echo 'namespace recto {'; echo 'constexpr SqlFile kMigrations[] = {'; \
	   for file in $(filter-out %/triggers.sql,$^); do \
	     printf '{"%s", R"sql(' $$(basename $$file .sql); cat $$file; echo ')sql"},'; done; \
	   printf '};\nSchema current_schema() { return {kMigrations, R"sql('; cat modules/store/triggers.sql; \
	   echo ')sql"}; }'; echo '}'; } >$@.new
	@mv $@.new $@
# Both programs name themselves by all that shapes an answer, so that `recto` finds in memcached what the workers of the same build put there.
$(BUILD)/generated/build_id.cpp: $(BUILD)/librecto.a $(BUILD)/libfcgi-layer.a
	@echo "#include \"site/build_id.hpp\"" >$@.new
	@echo "namespace recto { const char* const kBuildId = \"$$(cat $^ | sha256sum | cut -c 1-40)\"; }" >>$@.new
	@mv $@.new $@
$(BUILD)/generated/%.o: $(BUILD)/generated/%.cpp | packages-build
	$(CXX) $(STANDARD) $(WARNINGS) $(DEFINES) $(INCLUDES) -MMD -MP $(CPPFLAGS) $(CXXFLAGS) -c -o $@ $<

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile
clean:
	rm -rf $(BUILD)

.PHONY: all run test boot-test asan tsan fuzz fuzzers lint model bench install help clean packages-build packages-run packages-test packages-lint \
        packages-bench packages-fuzz
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

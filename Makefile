# Two commands matter: `make run` and `make test`. Both set up what they need. `make help` lists the rest.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OUT := runs/tiny
PLAN := ablation

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup run results test test-book test-code book lab outputs seeds checkpoints portable speed speed-evaluation experiment claims stress picture lint clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## make the virtual environment in .venv and install everything into it

# Redone only when pyproject.toml changes; the code itself is installed in place.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "direid needs Python 3.11 or later: install it, then 'make PYTHON=/path/to/python3.11 ...'" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian, Ubuntu: sudo apt install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing direid and what it needs into $(VENV) (once; PyTorch is large) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[book,lab,dev]'
	@touch $@

run: $(INSTALLED)  ## run the whole method on the embedded benchmark, then build the book
	$(BIN)/direid run --preset tiny --data paper_dolls --out $(OUT) $(if $(wildcard $(OUT)),--resume)
	@$(MAKE) --no-print-directory book
	@echo "Results:   $(OUT)/report.md"

results: run  ## store the run's report and picture where the README and the book show them
	mkdir -p book/results
	cp $(OUT)/report.json book/results/tiny.json
	cp $(OUT)/pictures/swaps.png book/img/swaps.png

book: $(INSTALLED)  ## build the book from the committed outputs (a few seconds)
	$(BIN)/jupyter-book build . --quiet >/dev/null
	@test -f _build/html/book/index.html
	@echo "The book:  _build/html/index.html"

lab: $(INSTALLED)  ## open the book's notebooks in JupyterLab
	$(BIN)/jupyter lab book

test: test-book test-code  ## build the book without a warning, then run every test and every notebook

# Clean, because an incremental build forgets the warnings of pages that did not change.
test-book: $(INSTALLED)  ## only the clean, strict build of the book
	rm -rf _build
	$(BIN)/jupyter-book build . -W -n --keep-going --quiet >/dev/null

# JOBS processes of one thread each: they share the cores, and sums do not depend on their number.
test-code: $(INSTALLED)  ## only the tests; the strict build must have run before
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval --built-book -n $(JOBS) --dist loadscope

outputs: $(INSTALLED)  ## run every notebook again and store what it prints and draws
	$(BIN)/python scripts/execute_notebooks.py
	$(BIN)/python scripts/run_times.py

seeds: $(INSTALLED)  ## run the chapters that speak of other training seeds with those (15 minutes)
	$(BIN)/python -m scripts.other_seeds

checkpoints: $(INSTALLED)  ## train the networks that the chapters start from (10 minutes)
	$(BIN)/python scripts/train_book.py

portable: $(INSTALLED)  ## run the tests, the book and the main job as other processors would (three hours), and store what moved
	$(BIN)/python -m scripts.portable --tiny
	$(BIN)/python -m scripts.portable

speed: $(INSTALLED)  ## measure the training steps on an idle machine (8 minutes) and store what the README shows
	$(BIN)/python -m benchmarks.speed --repeats 9 --profile --compile tiny --out book/results/speed.json

speed-evaluation: $(INSTALLED)  ## measure the evaluation at benchmark sizes on an idle machine (8 minutes)
	$(BIN)/python -m benchmarks.evaluation --out book/results/evaluation.json

experiment: $(INSTALLED)  ## run a plan of book/plans and store its results; PLAN=ablation, or PLAN=tables ROOTS="--root caviar=DIR --root mlr_viper=DIR"
	$(BIN)/direid experiment book/plans/$(PLAN).toml --out runs/$(PLAN) --keep $(ROOTS)
	mkdir -p book/results/$(PLAN)
	cp -r runs/$(PLAN)/plan.json runs/$(PLAN)/tables.md runs/$(PLAN)/cells book/results/$(PLAN)

claims: $(INSTALLED)  ## measure swaps, authenticity, scores and other cameras with the networks that PLAN=ablation and PLAN=ablation_dark left (40 minutes)
	$(BIN)/python -m benchmarks.claims book/plans/ablation.toml runs/ablation --out book/results/claims.json
	$(BIN)/python -m benchmarks.claims book/plans/ablation_dark.toml runs/ablation_dark --out book/results/claims_dark.json
	$(BIN)/python -m benchmarks.unseen book/plans/ablation_dark.toml runs/ablation_dark --out book/results/unseen.json
	$(BIN)/python -m benchmarks.score --out book/results/score.json

picture: $(INSTALLED)  ## draw the picture of the method again
	$(BIN)/python scripts/draw_method.py

stress: $(INSTALLED)  ## kill a training twenty times at random moments and see that nothing is lost
	$(BIN)/python scripts/stress_resume.py

lint: $(INSTALLED)  ## check style and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

clean:  ## remove what was built (not the runs, not the environment)
	rm -rf _build .pytest_cache .ruff_cache

# make demo   order three texts, fine-tune on short stories on this machine's CPU, and measure what that brings
# make test   lint, types and tests, offline
# make docs   the documentation as a site, in output/site; every warning is an error
# make test-integrations  the adapters of docs/retrieval.md, with the frameworks that they are for
# make test-lowest  the tests with the lowest versions that pyproject.toml declares
# make test-ray  the tests on a local Ray cluster
# make clean  remove the environments, caches, and what the demo made
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test docs test-integrations test-lowest test-ray clean

demo: .venv/demo
	$(BIN)/sentence-ordering order < docs/examples.txt
	$(BIN)/python scripts/train.py configuration/quickstart.yaml
	$(BIN)/python scripts/evaluate.py --model output/quickstart --dataset bigbench_narratives --seed 42 --show 3

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal

docs: .venv/docs
	$(BIN)/sentence-ordering evaluate --model general --dataset bigbench_narratives --output_dir output/report
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test-integrations: .venv-integrations/made
	.venv-integrations/bin/pytest tests/integrations

test-lowest: .venv-lowest/made
	.venv-lowest/bin/pytest

test-ray: .venv-ray/made
	.venv-ray/bin/pytest tests/test_order_ray.py

clean:
	rm -rf .venv .venv-integrations .venv-lowest .venv-ray output/quickstart output/report output/site dist .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --constraint constraints.txt --editable '.[demo]'
	touch $@

.venv/dev: .venv/demo
	$(BIN)/pip install --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

.venv/docs: .venv/dev
	$(BIN)/pip install --constraint constraints.txt --editable '.[demo,dev,docs]'
	touch $@

.venv-integrations/made: pyproject.toml constraints.txt tests/integrations/requirements.txt
	$(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/pip install --constraint constraints.txt --editable '.[general]' hypothesis pytest \
	    --requirement tests/integrations/requirements.txt
	touch $@

.venv-lowest/made: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --constraint constraints-lowest.txt --editable '.[demo,dev]'
	touch $@

.venv-ray/made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/pip install --constraint constraints.txt --editable '.[demo,dev,ray]'
	touch $@

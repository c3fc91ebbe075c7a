# Every target first makes the environment it needs in .venv. `make` alone lists the targets.
# Choose an interpreter with PYTHON=/path/to/python; pass a script's own flags with ARGS="...".
# FRESH=1 has `make demo` train from the start, whatever an earlier demo left.
export PYTHON ?=
MODEL = yolov3-tiny
FRESH =
ARGS =
PY = .venv/bin/python
# On a CPU with more than AVX2, these run twice: first with oneDNN, PyTorch and OpenCV limited to AVX2.
NETWORK_BENCHMARKS = matrix_rate.py "training_step.py --rounds 3" "training_step.py --tiny --sizes 224 416" \
  convolutions.py winograd.py "detection.py --networks yolov3 yolov3-tiny" evaluation.py
AS_AVX2 = ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENCV_CPU_DISABLE=AVX512-SKX
# TensorFlow's start-up messages would bury those of the scripts.
TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_CPP_MIN_LOG_LEVEL

.PHONY: help demo data train evaluate detect tensorboard web weights figures test test-slow torture bench lint clean env \
  env-dev env-web env-bench

help: ## list the targets
	@echo 'usage: make TARGET [ARGS="flags of the script"] [PYTHON=/path/to/python]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

demo: env ## data, training, evaluation and images in minutes (MODEL=yolov3 for Darknet-53)
	@$(PY) tools/demo.py --model $(MODEL) $(if $(FRESH),--fresh) $(ARGS)

data: env ## make the digit images and their annotations
	$(PY) mnist/make_data.py $(ARGS)

train: env ## train on them
	$(PY) train.py $(ARGS)

evaluate: env ## mean average precision of the best checkpoint
	$(PY) evaluate_mAP.py $(ARGS)

detect: env ## draw the digits found in a test image
	$(PY) detect_mnist.py $(ARGS)

tensorboard: env ## watch the training curves on http://localhost:6006
	$(PY) -m tensorboard.main --logdir ./log $(ARGS)

web: env-web ## a page to draw digits or drop a photograph on, at http://127.0.0.1:7860
	$(PY) tools/web.py $(ARGS)

weights: env ## download and verify the official Darknet weights (446 MB)
	$(PY) tools/get_weights.py $(ARGS)

figures: env ## redraw the figures of the documentation (detections.png needs a trained network)
	@for script in $(filter-out %/detections.py %/figure_script.py,$(wildcard docs/figures/*.py)); do \
	  echo "$(PY) $$script"; $(PY) "$$script" || exit; done

test: env-dev ## run the tests
	$(PY) -m pytest $(ARGS)

test-slow: env-dev ## run the tests that train for minutes or drive a browser
	$(PY) -m pytest -m slow $(ARGS)

torture: env-dev ## kills, full disks, damaged files and wild numbers: 20 minutes on 2 cores
	$(PY) -m tests.torture $(ARGS)

bench: env-bench ## speed of every part, and of other engines beside it (ARGS=--quick: does it run?)
	@if grep -qs avx512 /proc/cpuinfo; then \
	  for script in $(NETWORK_BENCHMARKS); do $(AS_AVX2) $(PY) benchmarks/$$script $(ARGS) || exit; done; fi
	@for script in $(NETWORK_BENCHMARKS) input_pipeline.py start_up.py; do \
	  $(PY) benchmarks/$$script $(ARGS) || exit; done

lint: env-dev ## check style, formatting and which module may import which
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports --no-logo --no-cache

clean: ## remove .venv and caches, never data, logs or checkpoints
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each makes or completes .venv where it has to, and else takes no time.
env:
	@tools/make_env.sh requirements.txt

env-dev:
	@tools/make_env.sh requirements-dev.txt

env-web:
	@tools/make_env.sh requirements-web.txt

env-bench:
	@tools/make_env.sh benchmarks/requirements.txt

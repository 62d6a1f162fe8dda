"""The two code examples of Kubeflow's guide as typed lines, as the README shows them."""

LLAMA = """
meta-llama/Llama-3.2-1B on imdb name=llama split=train[:1000] learning_rate=1e-05..5e-05
num_train_epochs=3 output_dir=results save_strategy=no r=8..32 lora_alpha=8 lora_dropout=0.1
bias=none objective=minimize:train_loss algorithm=random trials=10 parallel=2 workers=2 procs=2
gpu=2 cpu=4 memory=10G namespace=kubeflow
"""
CUSTOM = """
objective_file=objective.py:objective name=tune-experiment a=10..20 b=0.1..0.2
objective=maximize:result trials=12 cpu=2
"""
SOURCE = """def objective(parameters):
    result = 4 * int(parameters["a"]) - float(parameters["b"]) ** 2
    print(f"result={result}")
"""

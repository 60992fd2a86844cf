"""What examples/ has for containers is valid by the schemas; no container runs here."""

import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose


@pytest.fixture(scope="module")
def compose_file(root):
    return root / "examples" / "servers" / "compose.yaml"


@pytest.fixture(scope="module")
def manifests(root):
    return list(yaml.safe_load_all((root / "examples/kubernetes/sweep.yaml").read_text()))


@pytest.fixture(scope="module")
def services(compose_file):
    return yaml.safe_load(compose_file.read_text())["services"]


class TestTheComposeFile:
    def test_keeps_the_compose_specification(self, compose_file):
        text = compose_file.read_text()
        assert PyCompose.from_yaml(text).service_names() == ["postgres", "mlflow", "dashboard"]
        with pytest.raises(ValueError, match="healthy"):
            PyCompose.from_yaml(text.replace("service_healthy", "healthy"))

    def test_has_a_health_check_for_each_server_and_no_password_of_its_own(self, services):
        for name, service in services.items():
            assert service["healthcheck"]["test"], name
            passwords = [v for k, v in service["environment"].items() if "PASSWORD" in k]
            assert [v.partition(":?")[0] for v in passwords] == ["${POSTGRES_PASSWORD"]

    def test_lets_only_this_host_in_and_names_each_volume(self, compose_file, services):
        named = yaml.safe_load(compose_file.read_text())["volumes"]
        mounted = [volume for s in services.values() for volume in s.get("volumes", [])]
        assert {volume.partition(":")[0] for volume in mounted} == set(named)
        assert all(
            port.startswith("127.0.0.1:")
            for service in services.values()
            for port in service["ports"]
        )

    def test_gives_the_programs_options_that_they_have(self, services):
        """As far as the installed MLflow says; optuna-dashboard is no dependency."""
        words = services["mlflow"]["command"].split()
        shown = subprocess.run(
            [sys.executable, "-m", *words[:2], "--help"], capture_output=True, text=True, check=True
        )
        known = set(re.findall(r"--[a-z-]+", shown.stdout))
        assert {word for word in words if word.startswith("--")} <= known


class TestTheKubernetesJobs:
    def test_keep_the_schemas(self, manifests):
        for manifest in manifests:
            kubernetes_validate.validate(manifest, "1.34", strict=True)
        with pytest.raises(kubernetes_validate.ValidationError, match="nonsense"):
            kubernetes_validate.validate({**manifests[1], "nonsense": 1}, "1.34", strict=True)

    def test_share_the_volume_that_is_claimed(self, manifests):
        claim, *jobs = manifests
        assert [job["metadata"]["name"] for job in jobs] == ["sweep", "workers"]
        for job in jobs:
            (volume,) = job["spec"]["template"]["spec"]["volumes"]
            assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]

    def test_run_a_sweep_that_composes(self, manifests, program, root, tmp_path):
        container = container_of(manifests[1])
        python, script, *words = [*container["command"], *container["args"]]
        assert (python, words.pop(0)) == ("python", "-m")
        ended = program(root / script, *words, "--cfg", "hydra", cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        sweeper = yaml.safe_load(ended.stdout)["hydra"]["sweeper"]
        assert sweeper["n_workers"] == 2

        assert container_of(manifests[2])["command"] == ["seqsweep", "worker"]
        joins = container_of(manifests[2])["args"]
        shown = program(Path("-m"), "seqsweep", "worker", "--help", cwd=tmp_path).stdout
        assert all(word.partition("=")[0] in shown for word in joins)
        assert f"--storage={sweeper['storage']}" in joins
        assert f"--study={sweeper['study_name']}" in joins


def container_of(job):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container

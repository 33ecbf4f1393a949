# One image for the API, the worker, Flower and the migrations; docker-compose.yml says which is which.
FROM python:3.12-slim-bookworm AS packages
WORKDIR /build
COPY requirements.txt constraints.txt ./
# Wheels alone: the image needs no compiler, and a package without one is told here and not at run time.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        -r requirements.txt -c constraints.txt

FROM python:3.12-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0
WORKDIR /app
# A new volume takes over owner and mode of the folder that it is mounted on.
RUN groupadd --gid 10001 paddock \
    && useradd --uid 10001 --gid paddock --home-dir /app --no-create-home --shell /usr/sbin/nologin paddock \
    && install --directory --owner paddock --group paddock --mode 0700 /app/var
COPY --from=packages /opt/venv /opt/venv
COPY . .
RUN python -m compileall -q /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "stack.container_health", "web"]
CMD ["python", "-m", "gunicorn", "-c", "python:stack.web", "api:create_app()"]

"""The facade that customers' programs use: submit, ask, cancel. Knows ports, no adapter."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import CustomerError, PolicyRefusal
from ..ports import ByteSource, JobEngine
from ..request import CustomerDataRequest, encode, terms_of
from ..settings import Settings
from ..vocabulary import ProcessingMode


class Orchestrator:
    """Takes requests at the door, keeps them, and says where they stand.

    Every method may be called from any event loop; the engine's own work runs in threads and in
    processes that outlive the caller.
    """

    def __init__(
        self,
        engine: JobEngine,
        settings: Settings,
        look_at: Callable[[Path], ByteSource],
        packages: Path,
    ) -> None:
        """Take the engine, the settings in force, what opens a source, and where packages go."""
        self._engine = engine
        self._settings = settings
        self._look_at = look_at
        self._packages = packages

    @property
    def settings(self) -> Settings:
        """Return the settings in force."""
        return self._settings

    async def submit_processing_request(self, request: CustomerDataRequest) -> str:
        """Store a request, have it worked on, and return its id at once.

        An equal request under the same id changes nothing. Raise CustomerError: wrong-usage for an
        unknown or impossible requirement, not-built-yet for one that cannot be honoured yet,
        request-conflict, target-exists, not-found or unreadable for the data; PolicyRefusal for a mode
        that the configuration does not permit.
        """
        return await asyncio.to_thread(self._submit, request)

    async def get_request_status(self, request_id: str) -> dict[str, Any]:
        """Return where a request stands: 'status' ('queued', 'running', 'completed', 'failed', 'cancelled') and more.

        When completed, 'result' has quality_score, compression_ratio and processed_data_location; when
        failed, 'error' has code, message, where and remedy. Raise CustomerError (unknown-request).
        """
        return (await asyncio.to_thread(self._engine.status, request_id)).record()

    async def cancel_request(self, request_id: str) -> dict[str, Any]:
        """Cancel a request that has not ended and return its status; raise CustomerError (unknown-request)."""
        return (await asyncio.to_thread(self._engine.cancel, request_id)).record()

    async def list_requests(self) -> tuple[str, ...]:
        """Return the ids of all requests ever stored, oldest first."""
        return await asyncio.to_thread(self._engine.request_ids)

    def _submit(self, request: CustomerDataRequest) -> str:
        if not isinstance(request, CustomerDataRequest):
            raise CustomerError(
                f"{type(request).__name__} is no request", code="wrong-usage", remedy="make a CustomerDataRequest"
            )
        terms_of(request)
        located = self._located(request)
        held = self._engine.find(located.request_id)
        if held is None:  # what is stored already was looked at then
            self._refuse_by_policy(located)
            self._look_at(located.data_path)
            self._refuse_taken(located)
        return self._engine.submit(located)

    def _located(self, request: CustomerDataRequest) -> CustomerDataRequest:
        """Return the request with absolute paths: its worker may run elsewhere."""
        target = request.output_location or self._packages / request.request_id
        located = replace(
            request,
            data_path=request.data_path.absolute(),
            output_location=target.absolute(),
            schema_path=request.schema_path and request.schema_path.absolute(),
            checksums_path=request.checksums_path and request.checksums_path.absolute(),
        )
        encode(located)  # what cannot be stored is refused here, not in the store
        return located

    def _refuse_by_policy(self, request: CustomerDataRequest) -> None:
        if request.processing_mode is ProcessingMode.FEDERATED and not self._settings.enable_federated_learning:
            raise PolicyRefusal(
                "processing_mode FEDERATED is not permitted here",
                where=self._settings.origin,
                remedy="set enable_federated_learning: true, or ask for BATCH",
            )

    def _refuse_taken(self, request: CustomerDataRequest) -> None:
        target = request.output_location
        if target is not None and (target.exists() or target.is_symlink()):
            raise CustomerError(
                "the output location exists",
                code="target-exists",
                where=str(target),
                remedy="choose another output_location, or another request_id",
            )

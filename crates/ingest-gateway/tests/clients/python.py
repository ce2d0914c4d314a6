"""Sends events to a gateway with Meta's official Python SDK, unmodified but for the host, and prints what it made of the answers.

Usage: python.py GATEWAY_URL DATASET_ID SECRET_KEY
"""

import asyncio
import json
import sys
import time

from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.event_request_async import EventRequestAsync
from facebook_business.adobjects.serverside.gender import Gender
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession


def event(event_id, **more):
    user = UserData(
        email="Ana.Souza@Example.com ",
        phone="+55 11 91234-5678",
        gender=Gender.FEMALE,
        client_ip_address="203.0.113.7",
        client_user_agent="test ua",
    )
    fields = {
        "event_name": "Purchase",
        "event_time": int(time.time()),
        "event_id": event_id,
        "event_source_url": "https://shop.example/thanks",
        "action_source": ActionSource.WEBSITE,
        "user_data": user,
        "custom_data": CustomData(value=123.45, currency="BRL", order_id=event_id),
    }
    return Event(**{**fields, **more})


def outcome(send):
    try:
        answer = send()
        return {"events_received": answer.events_received, "messages": answer.messages, "trace": answer.fbtrace_id}
    except FacebookRequestError as error:
        return {
            "status": error.http_status(),
            "code": error.api_error_code(),
            "subcode": error.api_error_subcode(),
            "transient": error.api_transient_error(),
        }


async def at_once(dataset_id):
    async def one(number):
        request = EventRequestAsync(dataset_id, events=[event(f"py-async-{number}")])
        return (await request.execute()).events_received

    return await asyncio.gather(*(one(number) for number in range(5)))


def main(url, dataset_id, key):
    FacebookSession.GRAPH = url
    FacebookAdsApi.init(access_token=key, crash_log=False)
    batch = [event(f"py-{number}") for number in range(20)]
    seen = {
        "batch": outcome(EventRequest(dataset_id, events=batch, test_event_code="TEST1").execute),
        "again": outcome(EventRequest(dataset_id, events=batch).execute),
        "async": asyncio.run(at_once(dataset_id)),
        "too_old": outcome(
            EventRequest(dataset_id, events=[event("py-old", event_time=int(time.time()) - 8 * 86400)]).execute
        ),
        "other_dataset": outcome(EventRequest("999", events=[event("py-other")]).execute),
    }
    FacebookAdsApi.init(access_token="EAAnobodys", crash_log=False)
    seen["wrong_key"] = outcome(EventRequest(dataset_id, events=[event("py-wrong")]).execute)
    json.dump(seen, sys.stdout)


main(*sys.argv[1:])
